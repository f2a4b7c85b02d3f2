package i82599

// Link flow control (3.7.7).

const macControl = 0x8808 // EtherType of MAC control frames, 802.3 31.4.1

func (d *Device) txPaused() bool { return false }

func (d *Device) macControl(p *rxPacket) {}

func (m *mac) levelChanged() {}
