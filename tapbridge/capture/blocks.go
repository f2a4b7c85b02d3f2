package capture

import (
	"encoding/binary"
	"strings"
	"unicode/utf8"
)

// The functions of this file append one block or option to a buffer. They
// allocate nothing once the buffer has its size.

var little = binary.LittleEndian

var zeros [4]byte

func padding(n int) []byte { return zeros[:-n&3] }

// beginBlock appends the head of a block; endBlock, given where the block
// begins, its tail and both lengths.
func beginBlock(b []byte, kind uint32) []byte {
	b = little.AppendUint32(b, kind)
	return little.AppendUint32(b, 0)
}

func endBlock(b []byte, begin int) []byte {
	n := uint32(len(b) - begin + 4)
	little.PutUint32(b[begin+4:], n)
	return little.AppendUint32(b, n)
}

func appendOption(b []byte, code uint16, lengthBytes int) []byte {
	b = little.AppendUint16(b, code)
	return little.AppendUint16(b, uint16(lengthBytes))
}

func appendOption32(b []byte, code uint16, v uint32) []byte {
	return little.AppendUint32(appendOption(b, code, 4), v)
}

func appendOption64(b []byte, code uint16, v uint64) []byte {
	return little.AppendUint64(appendOption(b, code, 8), v)
}

func appendOptionTime(b []byte, code uint16, timeNS int64) []byte {
	return appendTime(appendOption(b, code, 8), timeNS)
}

// appendTime appends a time as two words, the upper one first. The format has
// no time before its epoch.
func appendTime(b []byte, timeNS int64) []byte {
	t := uint64(max(timeNS, 0))
	b = little.AppendUint32(b, uint32(t>>32))
	return little.AppendUint32(b, uint32(t))
}

// appendString appends a UTF-8 option. What does not fit is cut between two
// characters, and what is not UTF-8 is replaced (3.6.3: writers write only
// valid UTF-8).
func appendString(b []byte, code uint16, s string) []byte {
	if !utf8.ValidString(s) {
		s = strings.ToValidUTF8(s, "\uFFFD")
	}
	if len(s) > maxOptionBytes {
		n := maxOptionBytes
		for !utf8.RuneStart(s[n]) {
			n--
		}
		s = s[:n]
	}
	b = appendOption(b, code, len(s))
	b = append(b, s...)
	return append(b, padding(len(s))...)
}

func appendComments(b []byte, comments []string) []byte {
	for _, c := range comments[:min(len(comments), maxComments)] {
		b = appendString(b, optComment, c)
	}
	return b
}

func appendIfSet(b []byte, code uint16, s string) []byte {
	if s == "" {
		return b
	}
	return appendString(b, code, s)
}

func appendSection(b []byte, s *Section) []byte {
	begin := len(b)
	b = beginBlock(b, blockSection)
	b = little.AppendUint32(b, byteOrderMagic)
	b = little.AppendUint16(b, 1) // major version
	b = little.AppendUint16(b, 0) // minor version
	b = little.AppendUint64(b, ^uint64(0))
	b = appendComments(b, s.Comments)
	b = appendIfSet(b, shbHardware, s.Hardware)
	b = appendIfSet(b, shbOS, s.OS)
	b = appendIfSet(b, shbUserAppl, s.App)
	b = appendOption(b, optEnd, 0)
	return endBlock(b, begin)
}

func appendInterface(b []byte, i *Interface) []byte {
	begin := len(b)
	b = beginBlock(b, blockInterface)
	b = little.AppendUint16(b, i.LinkType)
	b = little.AppendUint16(b, 0)
	b = little.AppendUint32(b, i.SnapBytes)
	b = appendComments(b, i.Comments)
	b = appendIfSet(b, ifName, i.Name)
	b = appendIfSet(b, ifDescription, i.Description)
	if i.SpeedBPS != 0 {
		b = appendOption64(b, ifSpeed, i.SpeedBPS)
	}
	b = append(appendOption(b, ifTSResol, 1), 9, 0, 0, 0) // 10^-9 s
	if i.OffsetSeconds != 0 {
		b = appendOption64(b, ifTSOffset, uint64(i.OffsetSeconds))
	}
	b = appendIfSet(b, ifHardware, i.Hardware)
	b = appendOption(b, optEnd, 0)
	return endBlock(b, begin)
}

func appendPacket(b []byte, id uint32, p *Packet, snapBytes int) []byte {
	dataBytes := len(p.Data)
	for _, piece := range p.More {
		dataBytes += len(piece)
	}
	orig := max(p.OrigBytes, dataBytes)
	dataBytes = min(dataBytes, snapBytes)

	begin := len(b)
	b = beginBlock(b, blockEnhanced)
	b = little.AppendUint32(b, id)
	b = appendTime(b, p.TimeNS)
	b = little.AppendUint32(b, uint32(dataBytes))
	b = little.AppendUint32(b, uint32(orig))
	end := len(b) + dataBytes
	b = append(b, p.Data[:min(len(p.Data), dataBytes)]...)
	for _, piece := range p.More {
		b = append(b, piece[:min(len(piece), end-len(b))]...)
	}
	b = append(b, padding(dataBytes)...)

	options := len(b)
	b = appendComments(b, p.Comments)
	if p.Flags != 0 {
		b = appendOption32(b, epbFlags, uint32(p.Flags))
	}
	if p.DropCount != 0 {
		b = appendOption64(b, epbDropCount, p.DropCount)
	}
	if p.PacketID != 0 {
		b = appendOption64(b, epbPacketID, p.PacketID)
	}
	if p.HasQueue {
		b = appendOption32(b, epbQueue, p.Queue)
	}
	for i := range p.Verdicts {
		b = appendVerdict(b, &p.Verdicts[i])
	}
	if len(b) != options {
		b = appendOption(b, optEnd, 0)
	}
	return endBlock(b, begin)
}

func appendVerdict(b []byte, v *Verdict) []byte {
	if v.Type == VerdictTC || v.Type == VerdictXDP {
		b = append(appendOption(b, epbVerdict, 9), byte(v.Type))
		b = little.AppendUint64(b, v.Action)
		return append(b, padding(9)...)
	}
	data := v.Data
	if len(data) > maxOptionBytes-1 {
		data = data[:maxOptionBytes-1]
	}
	b = append(appendOption(b, epbVerdict, 1+len(data)), byte(v.Type))
	b = append(b, data...)
	return append(b, padding(1+len(data))...)
}

func appendStats(b []byte, id uint32, s *Stats) []byte {
	begin := len(b)
	b = beginBlock(b, blockStatistics)
	b = little.AppendUint32(b, id)
	b = appendTime(b, s.EndNS)
	b = appendComments(b, s.Comments)
	b = appendOptionTime(b, isbStartTime, s.StartNS)
	b = appendOptionTime(b, isbEndTime, s.EndNS)
	b = appendOption64(b, isbIfRecv, s.Received)
	b = appendOption64(b, isbIfDrop, s.Dropped)
	b = appendOption(b, optEnd, 0)
	return endBlock(b, begin)
}
