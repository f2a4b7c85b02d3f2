// Package xdp is the program by which scripts use XDP and AF_XDP in a guest: as the
// driver has them, not as the kernel stands in for a driver without. It is this
// program itself, started with a word of its own, and reads commands line by line.
package xdp

// Word starts this program as the one of this package.
const Word = "guest-xdp"

const usage = `expected: guest-xdp ACTION INTERFACE ...
  pass IF ...        every packet goes on to the kernel
  drop IF ...        none does
  tx IF ...          every packet goes back where it came from
  redirect IF IF     what comes in at one goes out at the other
  copy IF[:Q] ...    the packets of a queue are for an AF_XDP socket, copied
  zerocopy IF[:Q] ...   the same, in the memory that the adapter wrote them to
commands: count, receive FRAME [N], send FRAME [N], echo N, forward N, end`
