package i82599

func (d *Device) stampTx(b *txBatch) {}

func (d *Device) stampRx(b *rxBatch) {}
