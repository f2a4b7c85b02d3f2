package live

// maxTasks bounds the functions that wait for the owner.
const maxTasks = 256

// Tasks hands functions over to the owner of a loop.
type Tasks struct {
	box  *Mailbox[func()]
	over chan struct{}
}

// NewTasks returns tasks for an owner whom wake wakes.
func NewTasks(wake func()) *Tasks {
	return &Tasks{NewMailbox[func()](maxTasks, wake), make(chan struct{})}
}

// Do has the owner run f, and waits for it. The owner must not call it. The error is
// ErrStopped, and then f did not run.
func (t *Tasks) Do(f func()) error {
	done := make(chan struct{})
	t.box.Put(func() { f(); close(done) })
	select {
	case <-done:
		return nil
	case <-t.over:
	}
	select {
	case <-done:
		return nil
	default:
		return ErrStopped
	}
}

// Run runs what there is to be run and returns how much that was. The owner calls it.
func (t *Tasks) Run() (n int) {
	var batch [16]func()
	for t.box.Len() > 0 && n < maxTasks {
		k := t.box.Take(batch[:])
		for _, f := range batch[:k] {
			f()
		}
		n += k
	}
	return n
}

// End lets go of those who wait. The owner calls it, and runs nothing afterwards.
func (t *Tasks) End() {
	t.box.Close()
	close(t.over)
}
