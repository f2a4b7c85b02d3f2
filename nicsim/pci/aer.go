package pci

import "math/bits"

// AER is advanced error reporting (PCIe 3.0 7.10).
type AER struct {
	At int
	// Uncorrectable and Correctable are the errors that the function can report;
	// Severity holds the uncorrectable ones that are fatal by default.
	Uncorrectable, Correctable, Severity uint32
}

// Offsets inside the advanced error reporting capability.
const (
	aerStatus      = 0x04
	aerMask        = 0x08
	aerSeverity    = 0x0C
	aerCorrStatus  = 0x10
	aerCorrMask    = 0x14
	aerControl     = 0x18
	aerHeaderLog   = 0x1C
	aerFirst       = 0x1F // first error pointer
	aerECRC        = 0x0A0
	aerECRCEnables = 0x140
)

func (c AER) shape() (uint16, int, int, uint8) { return 0x0001, c.At, 0x2C, 1 }

func (c AER) build(f *Function) error {
	s := &f.space
	or32(&s.clears, c.At+aerStatus, c.Uncorrectable)
	or32(&s.writable, c.At+aerMask, c.Uncorrectable)
	s.set32(c.At+aerSeverity, c.Severity)
	or32(&s.writable, c.At+aerSeverity, c.Uncorrectable)
	or32(&s.clears, c.At+aerCorrStatus, c.Correctable)
	s.set32(c.At+aerCorrMask, c.Correctable&(1<<(AdvisoryNonFatal-correctable)))
	or32(&s.writable, c.At+aerCorrMask, c.Correctable)
	s.set32(c.At+aerControl, aerECRC)
	or32(&s.writable, c.At+aerControl, aerECRCEnables)
	for off := aerStatus; off < aerHeaderLog+16; off += 4 {
		or32(&s.sticky, c.At+off, ^uint32(0))
	}
	f.aer = c.At
	return nil
}

// Error is an error that a function finds on its bus.
type Error uint8

// correctable is added to the bit number of correctable errors.
const correctable = 32

const (
	DataLinkProtocol     Error = 4
	PoisonedTLP          Error = 12
	FlowControlProtocol  Error = 13
	CompletionTimeout    Error = 14
	CompleterAbort       Error = 15
	UnexpectedCompletion Error = 16
	ReceiverOverflow     Error = 17
	MalformedTLP         Error = 18
	ECRC                 Error = 19
	UnsupportedRequest   Error = 20

	ReceiverError    Error = correctable + 0
	BadTLP           Error = correctable + 6
	BadDLLP          Error = correctable + 7
	ReplayRollover   Error = correctable + 8
	ReplayTimeout    Error = correctable + 12
	AdvisoryNonFatal Error = correctable + 13
)

// ErrorMessage is what a function sends to the root for an error.
type ErrorMessage uint8

const (
	NoMessage ErrorMessage = iota
	CorrectableMessage
	NonFatalMessage
	FatalMessage
)

// Report records error e with the header of the packet that had it, and returns
// the message that goes to the root: none when masked or not enabled. Errors that
// the function cannot report leave no trace (PCIe 3.0 6.2.5).
func (f *Function) Report(e Error, header [4]uint32) ErrorMessage {
	if f.aer == 0 || f.express == 0 || !f.present {
		return NoMessage
	}
	if e >= correctable {
		return f.reportCorrectable(uint32(1) << (e - correctable))
	}
	s, bit := &f.space, uint32(1)<<e
	if s.writableAt(f.aer+aerMask)&bit == 0 {
		return NoMessage
	}
	message, status, enable := NonFatalMessage, uint16(1<<1), uint16(1<<1)
	if s.get32(f.aer+aerSeverity)&bit != 0 {
		message, status, enable = FatalMessage, 1<<2, 1<<2
	}
	if e == UnsupportedRequest {
		status |= 1 << 3
	}
	s.bits(f.express+expDeviceStatus, status, true)
	pending := s.get32(f.aer + aerStatus)
	s.set32(f.aer+aerStatus, pending|bit)
	if s.get32(f.aer+aerMask)&bit != 0 {
		return NoMessage
	}
	control := s.get32(f.aer + aerControl)
	if pending&(1<<(control&aerFirst)) == 0 { // the log is free
		s.set32(f.aer+aerControl, control&^aerFirst|uint32(bits.TrailingZeros32(bit)))
		for i, w := range header {
			s.set32(f.aer+aerHeaderLog+4*i, w)
		}
	}
	serr := s.get16(offCommand)&commandSERR != 0
	if !serr && s.get16(f.express+expDeviceControl)&enable == 0 {
		return NoMessage
	}
	if serr {
		s.bits(offStatus, statusSERR, true)
	}
	return message
}

func (f *Function) reportCorrectable(bit uint32) ErrorMessage {
	s := &f.space
	if s.writableAt(f.aer+aerCorrMask)&bit == 0 {
		return NoMessage
	}
	s.bits(f.express+expDeviceStatus, 1, true)
	s.set32(f.aer+aerCorrStatus, s.get32(f.aer+aerCorrStatus)|bit)
	if s.get32(f.aer+aerCorrMask)&bit != 0 || s.get16(f.express+expDeviceControl)&1 == 0 {
		return NoMessage
	}
	return CorrectableMessage
}
