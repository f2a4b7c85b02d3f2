package i82599

import (
	"nicsim.dev/descriptors/ixgbe"
	"nicsim.dev/nicsim"
	"nicsim.dev/offloads/parse"
)

type filters struct{}

type rxClass struct {
	queue  uint16
	drop   nicsim.Drop
	info   ixgbe.RxInfo
	param  uint32
	status ixgbe.RxStatus
}

func (f *filters) accept(b []byte, h *parse.Headers) nicsim.Drop { return 0 }
func (f *filters) classify(c *rxClass, b []byte, h *parse.Headers) {
	*c = rxClass{info: ixgbe.RxInfo(h.Kind&0xFF) << 4}
}
