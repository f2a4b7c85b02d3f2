package i82599

// The life of a frame, in the order of the datasheet (7.2.1.2 and 7.1). A stage
// is a function over a batch; what a frame does not ask for costs it a test of
// a flag.

// send is the transmit pipeline. fetch has filled the batch with frames: a
// packet that asks for segmentation is cut while it is read from memory, so
// that its payload is copied once; one that asks for IPsec is sealed then too, because
// a cipher gains by bytes that were just copied more than a stage does by a batch.
//
// Checksums come ahead of tags because the offsets of a context descriptor
// count the packet as the driver wrote it.
func (d *Device) send(b *txBatch) {
	d.insertChecksums(b)
	d.insertTags(b)
	d.protectLink(b)
	d.padAndCheck(b)
	d.stampTx(b)
	d.toWire(b)
}

// receiveBatch is the receive pipeline up to the queues. Coalescing, header
// split, DMA and write-back follow for each queue in turn, see rxqueue.go. Plain
// frames get there by a short way, see short.go, with the same results.
func (d *Device) receiveBatch(b *rxBatch) {
	d.checkMAC(b)
	d.openLink(b)
	d.parse(b)
	d.filter(b)
	d.open(b)
	d.verifyChecksums(b)
	d.classify(b)
	d.stampRx(b)
}
