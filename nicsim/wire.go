package nicsim

// Wire is what a port transmits to. Nothing on it blocks.
type Wire interface {
	// Room returns how many frames Send takes now. An adapter that finds no
	// room leaves its descriptors where they are.
	Room() int
	// Send hands over at most Room frames, in order; the wire owns them. A MAC
	// control frame it takes even without room: it is small, and late it is
	// worthless.
	Send(frames []*Frame)
}

// SignalWire is a wire that carries on whether the port that sends to it shows a
// signal: a port at the far end loses its carrier with it.
type SignalWire interface {
	Wire
	// SetSignal is called when a port is attached and when its signal changes.
	SetSignal(on bool)
}

// Port is an adapter's side of a wire.
type Port interface {
	// Attach connects the port to a wire, or to none with nil, and tells it
	// whether the other end is up.
	Attach(w Wire)
	SetCarrier(up bool)
	// Deliver hands over frames that arrived; the port owns them. It has no
	// back-pressure, as a wire has none: what does not fit is dropped and
	// counted, unless link flow control holds the sender back in time.
	Deliver(frames []*Frame)
}
