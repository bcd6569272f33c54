/*
 * What bench_client_send.c measures, of Apache's Java client: one thread, asynchronous, 1 KiB, 256 in
 * flight.   java -cp 'JARS/*' ClientSend.java NAMESRV [SECONDS]
 */
import com.sun.management.OperatingSystemMXBean;
import java.lang.management.ManagementFactory;
import java.util.concurrent.Semaphore;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendCallback;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.common.message.Message;

public class ClientSend {
	static final int WARM_S = 15; // the compiler's

	public static void main(String[] args) throws Exception {
		double seconds = args.length > 1 ? Double.parseDouble(args[1]) : 10;
		DefaultMQProducer producer = new DefaultMQProducer("bench");
		producer.setNamesrvAddr(args.length > 0 ? args[0] : "127.0.0.1:9876");
		producer.start();
		Semaphore room = new Semaphore(256);
		AtomicLong sent = new AtomicLong(), failed = new AtomicLong();
		SendCallback done = new SendCallback() {
			public void onSuccess(SendResult r) { sent.incrementAndGet(); room.release(); }
			public void onException(Throwable e) { failed.incrementAndGet(); room.release(); }
		};
		byte[] body = new byte[1024];
		java.util.Arrays.fill(body, (byte) 'x');
		OperatingSystemMXBean os = (OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();
		long begin = System.nanoTime(), wall = 0, cpu = 0, count = 0;
		for (;;) {
			for (int i = 0; i < 64; i++) {
				room.acquire();
				producer.send(new Message("BenchClient", body), done);
			}
			long now = System.nanoTime();
			if (wall == 0 && now - begin > WARM_S * 1e9) {
				wall = now;
				cpu = os.getProcessCpuTime();
				count = sent.get();
			}
			if (wall != 0 && now - wall > seconds * 1e9) {
				wall = now - wall;
				cpu = os.getProcessCpuTime() - cpu;
				count = sent.get() - count;
				break;
			}
		}
		System.out.printf("{\"client\":\"java\",\"per_second\":%.0f,\"cpu_us\":%.2f,\"failed\":%d}%n",
				count * 1e9 / wall, cpu / 1e3 / count, failed.get());
		System.exit(0);
	}
}
