package i82599

import "nicsim.dev/nicsim/reg"

// registers are the registers of a physical function, in BAR0 (82599 datasheet
// 8.2.3), one group a section. Rows state what is true without behaviour:
// reset values are those of a powered device that loaded the default EEPROM,
// and where the datasheet leaves one open (tables, keys) it is zero. A row
// cites its own section, or the group's where only that is certain.
var registers = [][]reg.Row[Device]{
	generalRegs,
	eepromRegs,
	flowControlRegs,
	pcieRegs,
	interruptRegs,
	msixRegs,
	receiveRegs,
	receiveDMARegs,
	transmitRegs,
	dcbRegs,
	dcaRegs,
	securityRegs,
	linkSecRegs,
	ipsecRegs,
	timerRegs,
	fcoeRegs,
	flowDirectorRegs,
	macRegs,
	statisticsRegs,
	queueStatisticsRegs,
	wakeUpRegs,
	managementRegs,
	timeSyncRegs,
	virtualizationRegs,
}
