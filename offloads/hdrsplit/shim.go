package hdrsplit

import "nicsim.dev/offloads/parse"

type Types uint32

func Boundary(h *parse.Headers, t Types) (int, bool) { return 0, false }
