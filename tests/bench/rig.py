"""What the measuring scripts of this folder share: a broker of its own in an empty folder."""
import glob, json, os, shutil, signal, socket, struct, subprocess, tempfile, time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get('MOSAIC_BUILD', TOP + '/build/release')


SEND = 10


def free_port():
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return probe.getsockname()[1]


class Broker:
    def __init__(self, store='store-mmap', folder=None, prepare=None, **more):
        self.home = tempfile.mkdtemp(prefix='mosaic-bench-', dir=folder)
        self.log = self.home + '/data/commitlog'
        self.port, self.names = free_port(), free_port()
        with open(self.home + '/mosaic.json', 'w') as f:
            json.dump({'roles': ['namesrv', 'broker'],
                       'namesrv': {'listen': f'127.0.0.1:{self.names}',
                                   'kvConfig': self.home + '/kv.json'},
                       'broker': {
                           'namesrv': [f'127.0.0.1:{self.names}'], 'address': '127.0.0.1',
                           'transport': {'plugin': 'transport-tcp',
                                         'listen': f'127.0.0.1:{self.port}'},
                           'store': {'plugin': store, 'dir': self.home + '/data'},
                           'flush': {'plugin': 'flush-async'}, **more}}, f)
        if prepare:
            prepare(self)
        self.start()

    def start(self):
        """Seconds until a message is acknowledged."""
        began = time.time()
        self.process = subprocess.Popen([BUILD + '/mosaic', 'run', self.home + '/mosaic.json'],
                                        stdout=open(self.home + '/out', 'a'),
                                        stderr=subprocess.STDOUT)
        fields = {'producerGroup': 'bench', 'topic': 'Probe', 'defaultTopic': 'TBW102',
                  'defaultTopicQueueNums': '1', 'queueId': '0', 'sysFlag': '0',
                  'bornTimestamp': '1700000000000', 'flag': '0', 'properties': '',
                  'reconsumeTimes': '0', 'unitMode': 'false', 'batch': 'false'}
        while b'"code":0' not in self.ask(SEND, fields, b'probe'):
            if self.process.poll() is not None:
                raise SystemExit('the broker ended: ' + self.home + '/out')
            time.sleep(0.002)
        took = time.time() - began
        time.sleep(1) # until the NameServer knows it
        return took

    def ask(self, code, fields, body=b''):
        """The answer's first bytes; b'': the broker cannot be reached."""
        head = json.dumps({'code': code, 'language': 'JAVA', 'version': 479, 'opaque': 1,
                           'flag': 0, 'serializeTypeCurrentRPC': 'JSON',
                           'extFields': fields}).encode()
        try:
            with socket.create_connection(('127.0.0.1', self.port)) as s:
                s.sendall(struct.pack('>II', 4 + len(head) + len(body), len(head)) + head + body)
                return s.recv(4096)
        except OSError:
            return b''

    def stop(self, how=signal.SIGTERM):
        self.process.send_signal(how)
        self.process.wait()

    def remove(self):
        self.stop()
        shutil.rmtree(self.home)

    def bench(self, what, topic, *more):
        return subprocess.Popen([BUILD + '/mosaic', 'bench', what, topic, '--namesrv',
                                 f'127.0.0.1:{self.names}', '--json', '--quiet',
                                 *map(str, more)], stdout=subprocess.PIPE)

    def segments(self):
        return sorted(glob.glob(self.log + '/*'))

    def fill(self, n_bytes):
        while len(self.segments()) < 2 or n_bytes > 0:
            result = finish(self.bench('produce', 'Old', '--seconds', 1, '--warmup', 0))
            n_bytes -= result['messages'] * 1200

    def settle(self, forget):
        """All is on the disk; without `forget` it stays in memory."""
        self.stop()
        os.sync()
        for path in glob.glob(self.home + '/data/**', recursive=True):
            if not os.path.isfile(path):
                continue
            fd = os.open(path, os.O_RDONLY)
            if forget:
                os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(fd)
        self.start()

    def cpu(self):
        fields = open(f'/proc/{self.process.pid}/stat').read().rsplit(')', 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')


def finish(process):
    out = process.communicate()[0]
    if process.returncode != 0:
        raise SystemExit('bench failed')
    return json.loads(out)
