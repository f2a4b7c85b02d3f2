package i82599

import "nicsim.dev/nicsim/sim"

// Bits of TCPTIMER (8.2.3.19.1).
const (
	tcpDuration  = 0xFF // milliseconds
	tcpKickStart = 1 << 8
	tcpEnable    = 1 << 9
	tcpFinish    = 1 << 10
	tcpLoop      = 1 << 11
)

// tcpTimer is the interval timer that interrupts with the TCP timer cause.
type tcpTimer struct {
	left    sim.Time // of the count, when it stands
	expired sim.Event
}

func (d *Device) wroteTCPTIMER(_ int, _, v uint32) {
	t := &d.tcpTimer
	runs := t.expired.Pending()
	if runs {
		t.left = t.expired.At() - d.clock.Now()
		d.clock.Cancel(&t.expired)
	}
	if v&tcpKickStart != 0 {
		t.left = sim.Time(v&tcpDuration) * sim.Millisecond
	}
	if t.left > 0 && (v&tcpEnable != 0 || runs && v&tcpFinish != 0) {
		d.clock.After(&t.expired, t.left)
	}
}

func (d *Device) tcpTimerExpired() {
	d.interrupts.other(causeTCPTimer)
	v := d.reg.Get(atTCPTimer)
	d.tcpTimer.left = 0
	if period := sim.Time(v&tcpDuration) * sim.Millisecond; v&tcpLoop != 0 && v&tcpEnable != 0 && period > 0 {
		d.clock.After(&d.tcpTimer.expired, period)
	}
}

func (t *tcpTimer) reset(d *Device) {
	d.clock.Cancel(&t.expired)
	t.left = 0
}

const atTCPTimer = 0x0004C
