package i82599

import "nicsim.dev/nicsim"

// LEDCTL has a byte for each of four LEDs (8.2.3.1.6).
const (
	numLEDs   = 4
	ledMode   = 0xF
	ledInvert = 1 << 6
	ledBlink  = 1 << 7
)

// Modes of an LED. The two that show activity are dark here.
const (
	ledLinkUp       = 0x0
	ledLink10G      = 0x1
	ledLinkActivity = 0x4
	ledLink1G       = 0x5
	ledOn           = 0xE
)

// ledState is what a person sees of an LED.
type ledState uint8

var ledNames = [...]string{ledIsOff: "off", ledIsOn: "on", ledIsBlinking: "blinking"}

// LED returns what a person sees of LED i, 0 to 3: off, on or blinking.
func (d *Device) LED(i int) string {
	if i < 0 || i >= numLEDs {
		return ledNames[ledIsOff]
	}
	return ledNames[d.led(i)]
}

const (
	ledIsOff ledState = iota
	ledIsOn
	ledIsBlinking
)

var ledNotes = [numLEDs][3]string{
	{"LED 0 off", "LED 0 on", "LED 0 blinks"},
	{"LED 1 off", "LED 1 on", "LED 1 blinks"},
	{"LED 2 off", "LED 2 on", "LED 2 blinks"},
	{"LED 3 off", "LED 3 on", "LED 3 blinks"},
}

// led returns the state of LED i.
func (d *Device) led(i int) ledState {
	v := d.reg.Get(atLEDCTL) >> (8 * i)
	var on bool
	switch v & ledMode {
	case ledLinkUp, ledLinkActivity:
		on = d.link.speed != 0
	case ledLink10G:
		on = d.link.speed == 10
	case ledLink1G:
		on = d.link.speed == 1
	case ledOn:
		on = true
	}
	switch {
	case on && v&ledBlink != 0:
		return ledIsBlinking
	case on != (v&ledInvert != 0):
		return ledIsOn
	}
	return ledIsOff
}

// ledsChanged tells the probe of LEDs that changed.
func (d *Device) ledsChanged() {
	for i := range d.leds {
		if s := d.led(i); s != d.leds[i] {
			d.leds[i] = s
			if d.probe != nil {
				d.observe(&nicsim.Event{Kind: nicsim.Note, Name: ledNotes[i][s], Queue: -1})
			}
		}
	}
}

func (d *Device) wroteLEDCTL(int, uint32, uint32) { d.ledsChanged() }
