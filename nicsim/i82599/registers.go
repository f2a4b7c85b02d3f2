package i82599

import "nicsim.dev/nicsim/reg"

// table is the register space of BAR0, from the regs_*.go files.
var table = mustTable()

func mustTable() *reg.Table[Device] {
	t, err := reg.NewTable(regSpace, registers...)
	if err != nil {
		panic(err) // the table is a part of the program
	}
	return t
}

// queueReg returns the address of a receive or transmit queue register: queues
// from 64 on have a range of their own on the receive side (8.2.3.8).
func rxQueueReg(low uint32, i int) uint32 {
	if i < 64 {
		return low + 0x40*uint32(i)
	}
	return low + 0xC000 + 0x40*uint32(i-64)
}

const (
	atRAL0        = 0xA200
	atRQSMR       = 0x2300
	atRXDSTATCTRL = 0x2F40

	atCTRL    = 0x00000
	atSTATUS  = 0x00008
	atCTRLEXT = 0x00018
	atGPIE    = 0x00898
	atPFQDE   = 0x02F04

	atDTXTCPFLGL = 0x04A88
	atDTXTCPFLGH = 0x04A8C
	atHLREG0     = 0x04240
	atMAXFRS     = 0x04268
	atEXVET      = 0x05078

	atSECTXCTRL   = 0x08800
	atSECRXCTRL   = 0x08D00
	atIPSTXIDX    = 0x08900
	atLSECTXCTRL  = 0x08A04
	atLSECTXSCL   = 0x08A08
	atLSECTXSA    = 0x08A10
	atLSECTXPN    = 0x08A14
	atLSECTXKEY   = 0x08A1C
	atLSECRXCTRL  = 0x08F04
	atLSECRXSCL   = 0x08F08
	atLSECRXSA    = 0x08F10
	atLSECRXSAPN  = 0x08F18
	atLSECRXKEY   = 0x08F20
	atIPSTXSALT   = 0x08904
	atIPSTXKEY    = 0x08908
	atIPSRXIDX    = 0x08E00
	atIPSRXIPADDR = 0x08E04
	atIPSRXSPI    = 0x08E14
	atIPSRXIPIDX  = 0x08E18
	atIPSRXKEY    = 0x08E1C
	atIPSRXSALT   = 0x08E2C
	atIPSRXMOD    = 0x08E30

	atTQSM = 0x8600

	atESDP      = 0x00020
	atI2CCTL    = 0x00028
	atLEDCTL    = 0x00200
	atMSCA      = 0x0425C
	atMSRWD     = 0x04260
	atAUTOC     = 0x042A0
	atAUTOC2    = 0x042A8
	atEEC       = 0x10010
	atEERD      = 0x10014
	atFLA       = 0x1001C
	atFLOP      = 0x1013C
	atSWSM      = 0x10140
	atCoreCTL   = 0x14F00
	atSMADARCTL = 0x14F10
	atFLEXMNG   = 0x15800
	atHICR      = 0x15F00
)

func atRDBAL(i int) uint32  { return rxQueueReg(0x1000, i) }
func atRDBAH(i int) uint32  { return rxQueueReg(0x1004, i) }
func atTDBAL(i int) uint32  { return 0x6000 + 0x40*uint32(i) }
func atTDBAH(i int) uint32  { return 0x6004 + 0x40*uint32(i) }
func atTDWBAL(i int) uint32 { return 0x6038 + 0x40*uint32(i) }
func atTDWBAH(i int) uint32 { return 0x603C + 0x40*uint32(i) }
