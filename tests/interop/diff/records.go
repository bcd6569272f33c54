package main

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"regexp"
	"strings"
)

// record is one message as it lies in the commit log.
type record struct {
	magic, bodyCRC, queueID, flag, sysFlag, reconsumeTimes uint32
	queueOffset, physOffset, bornTime, preparedOffset      int64
	body                                                   []byte
	topic, properties                                      string
}

// decodeRecords cuts a pull's body into its messages; nil when it is none.
func decodeRecords(b []byte) (list []record) {
	get := binary.BigEndian
	for len(b) > 0 {
		if len(b) < 88 || int(get.Uint32(b)) > len(b) {
			return nil
		}
		one := b[:get.Uint32(b)]
		b = b[len(one):]
		if get.Uint32(one[4:])&0xfffffff0 != 0xdaa320a0 {
			return nil
		}
		r := record{magic: get.Uint32(one[4:]), bodyCRC: get.Uint32(one[8:]), queueID: get.Uint32(one[12:]),
			flag: get.Uint32(one[16:]), queueOffset: int64(get.Uint64(one[20:])),
			physOffset: int64(get.Uint64(one[28:])), sysFlag: get.Uint32(one[36:]),
			bornTime: int64(get.Uint64(one[40:]))}
		at := 48 + 8
		if r.sysFlag&0x10 != 0 {
			at += 12
		}
		at += 8 + 8 // store time and host
		if r.sysFlag&0x20 != 0 {
			at += 12
		}
		r.reconsumeTimes = get.Uint32(one[at:])
		r.preparedOffset = int64(get.Uint64(one[at+4:]))
		n := int(get.Uint32(one[at+12:]))
		at += 16
		r.body = one[at : at+n]
		at += n
		n = int(one[at])
		at++
		if r.magic&0xf == 0xb { // second version: a two-byte topic length
			n = n<<8 | int(one[at])
			at++
		}
		r.topic = string(one[at : at+n])
		at += n
		n = int(get.Uint16(one[at:]))
		at += 2
		r.properties = string(one[at : at+n])
		if at+n != len(one) {
			r.properties += fmt.Sprintf(" and %d bytes more", len(one)-at-n)
		}
		list = append(list, r)
	}
	return list
}

var anID = regexp.MustCompile(`(UNIQ_KEY|ORIGIN_MESSAGE_ID)\x01(?:[0-9A-F]{32}|[0-9A-F]{40}|[0-9A-F]{56})(\x02|$)`)

// String shows everything that must be the same in both brokers; ids that a broker made are not.
func (r record) String() string {
	p := anID.ReplaceAllString(r.properties, "$1\x01<id>$2")
	p = strings.NewReplacer("\x01", "=", "\x02", ";").Replace(p)
	return fmt.Sprintf("magic %x queue %d/%d flag %d sys %#x born %d again %d prepared %d crc %08x body %d:%08x topic %.300q props %.3000q",
		r.magic, int32(r.queueID), r.queueOffset, int32(r.flag), r.sysFlag, r.bornTime, int32(r.reconsumeTimes),
		r.preparedOffset, r.bodyCRC, len(r.body), crc32.ChecksumIEEE(r.body), r.topic, p)
}
