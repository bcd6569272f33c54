package main

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"sort"
	"time"
)

// fields are a request's or an answer's extFields.
type fields map[string]string

// request is one raw request; the same bytes go to both brokers.
type request struct {
	code    int
	fields  fields
	body    []byte
	version int  // 0: 479, what 5.3.3 announces
	oneway  bool // no answer is expected, and none may come
}

type answer struct {
	none   bool // nothing came in time
	closed bool
	code   int
	remark string
	fields fields
	body   []byte
}

// link is one connection to one broker.
type link struct {
	conn   net.Conn
	in     *bufio.Reader
	opaque int32
	binary bool
	pushed []answer // what the broker asked by itself since it was last looked at
}

func dial(address string, binary bool) (*link, error) {
	conn, err := net.DialTimeout("tcp", address, 5*time.Second)
	if err != nil {
		return nil, err
	}
	return &link{conn: conn, in: bufio.NewReaderSize(conn, 1<<16), binary: binary}, nil
}

func sortedKeys(f fields) []string {
	keys := make([]string, 0, len(f))
	for k := range f {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}

func jsonHeader(q *request, opaque int32, flag int) []byte {
	h := map[string]interface{}{"code": q.code, "language": "JAVA", "version": q.version,
		"opaque": opaque, "flag": flag, "serializeTypeCurrentRPC": "JSON"}
	if q.fields != nil {
		h["extFields"] = q.fields
	}
	text, err := json.Marshal(h)
	must(err)
	return text
}

func binaryHeader(q *request, opaque int32, flag int) []byte {
	put := binary.BigEndian
	var ext []byte
	for _, k := range sortedKeys(q.fields) {
		ext = put.AppendUint16(ext, uint16(len(k)))
		ext = append(ext, k...)
		ext = put.AppendUint32(ext, uint32(len(q.fields[k])))
		ext = append(ext, q.fields[k]...)
	}
	h := put.AppendUint16(nil, uint16(q.code))
	h = append(h, 0)
	h = put.AppendUint16(h, uint16(q.version))
	h = put.AppendUint32(h, uint32(opaque))
	h = put.AppendUint32(h, uint32(flag))
	h = put.AppendUint32(h, 0)
	h = put.AppendUint32(h, uint32(len(ext)))
	return append(h, ext...)
}

func (l *link) send(q request) {
	if q.version == 0 {
		q.version = 479
	}
	l.opaque++
	flag := 0
	if q.oneway {
		flag = 2
	}
	var header []byte
	kind := uint32(0)
	if l.binary {
		header, kind = binaryHeader(&q, l.opaque, flag), 1<<24
	} else {
		header = jsonHeader(&q, l.opaque, flag)
	}
	frame := binary.BigEndian.AppendUint32(nil, uint32(4+len(header)+len(q.body)))
	frame = binary.BigEndian.AppendUint32(frame, kind|uint32(len(header)))
	frame = append(append(frame, header...), q.body...)
	l.conn.SetWriteDeadline(time.Now().Add(10 * time.Second))
	l.conn.Write(frame)
}

// read returns the next frame; ok is false when none came before the limit.
func (l *link) read(limit time.Duration) (head map[string]interface{}, a answer, ok bool) {
	var size [8]byte
	l.conn.SetReadDeadline(time.Now().Add(limit))
	if _, err := io.ReadFull(l.in, size[:]); err != nil {
		a.closed = !isTimeout(err)
		a.none = true
		return nil, a, false
	}
	total := binary.BigEndian.Uint32(size[:4])
	header := make([]byte, binary.BigEndian.Uint32(size[4:])&0xffffff)
	l.conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	_, err := io.ReadFull(l.in, header)
	must(err)
	a.body = make([]byte, int(total)-4-len(header))
	_, err = io.ReadFull(l.in, a.body)
	must(err)
	must(json.Unmarshal(header, &head))
	a.code = int(head["code"].(float64))
	if text, is := head["remark"].(string); is {
		a.remark = text
	}
	a.fields = fields{}
	if ext, is := head["extFields"].(map[string]interface{}); is {
		for k, v := range ext {
			a.fields[k] = fmt.Sprint(v)
		}
	}
	return head, a, true
}

// call sends and waits for the answer. What the broker asks meanwhile is kept in pushed.
func (l *link) call(q request, limit time.Duration) answer {
	l.send(q)
	if q.oneway {
		return answer{none: true}
	}
	end := time.Now().Add(limit)
	for {
		head, a, ok := l.read(time.Until(end))
		if !ok {
			return a
		}
		if int(head["flag"].(float64))&1 == 0 {
			l.pushed = append(l.pushed, a)
		} else if int32(head["opaque"].(float64)) == l.opaque {
			return a
		}
	}
}

// asked returns what the broker asks by itself within the time, and what it asked before.
func (l *link) asked(within time.Duration) []answer {
	end := time.Now().Add(within)
	for {
		head, a, ok := l.read(time.Until(end))
		if !ok {
			break
		}
		if int(head["flag"].(float64))&1 == 0 {
			l.pushed = append(l.pushed, a)
		}
	}
	list := l.pushed
	l.pushed = nil
	return list
}

func isTimeout(err error) bool {
	e, is := err.(net.Error)
	return is && e.Timeout()
}
