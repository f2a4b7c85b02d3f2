package xdp

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
)

// action is what becomes of packets.
type action string

const (
	pass     action = "pass"
	drop     action = "drop"
	tx       action = "tx"
	redirect action = "redirect"
	copied   action = "copy"
	zeroCopy action = "zerocopy"
)

var actions = []action{pass, drop, tx, redirect, copied, zeroCopy}

// What a program returns (enum xdp_action).
const (
	xdpAborted = 0
	xdpDrop    = 1
	xdpPass    = 2
	xdpTx      = 3
)

// Where the words of a packet are in a program's context (struct xdp_md).
const (
	contextData    = 0
	contextDataEnd = 4
	contextQueue   = 16
)

const (
	// maxQueues bounds the map of sockets: those of an 82599.
	maxQueues = 64
	// addressBytes is the size of both MAC addresses of a packet.
	addressBytes = 12
)

// newCounters makes the map in which programs count: packets, then bytes.
func newCounters() (*ebpf.Map, error) {
	return ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: 16, MaxEntries: 1})
}

func read(counters *ebpf.Map) (packets, bytes uint64, err error) {
	var v [2]uint64
	err = counters.Lookup(uint32(0), &v)
	return v[0], v[1], err
}

// newTarget makes the map of where a program sends packets: an interface, or the
// sockets of queues.
func newTarget(what action) (*ebpf.Map, error) {
	spec := &ebpf.MapSpec{KeySize: 4, ValueSize: 4, MaxEntries: maxQueues}
	switch what {
	case redirect:
		spec.Type = ebpf.DevMap
	case copied, zeroCopy:
		spec.Type = ebpf.XSKMap
	default:
		return nil, nil
	}
	return ebpf.NewMap(spec)
}

// load gives the kernel a program, whose target may be nil.
func load(what action, counters, target *ebpf.Map) (*ebpf.Program, error) {
	p, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Type: ebpf.XDP, Instructions: assemble(what, counters.FD(), target), License: "Dual MIT/GPL",
	})
	if v, ok := errors.AsType[*ebpf.VerifierError](err); ok {
		return nil, fmt.Errorf("%+v", v)
	}
	return p, err
}

// assemble counts a packet and decides. R6 is the context, R7 and R8 are where the
// packet begins and ends.
func assemble(what action, counters int, target *ebpf.Map) asm.Instructions {
	const key = -4 // on the stack
	count := asm.Instructions{
		asm.Mov.Reg(asm.R6, asm.R1),
		asm.LoadMem(asm.R7, asm.R6, contextData, asm.Word),
		asm.LoadMem(asm.R8, asm.R6, contextDataEnd, asm.Word),
		asm.StoreImm(asm.RFP, key, 0, asm.Word),
		asm.LoadMapPtr(asm.R1, counters),
		asm.Mov.Reg(asm.R2, asm.RFP),
		asm.Add.Imm(asm.R2, key),
		asm.FnMapLookupElem.Call(),
		asm.JEq.Imm(asm.R0, 0, "abort"),
		asm.Mov.Imm(asm.R1, 1),
		asm.AddAtomic.Mem(asm.R0, asm.R1, asm.DWord, 0),
		asm.Mov.Reg(asm.R1, asm.R8),
		asm.Sub.Reg(asm.R1, asm.R7),
		asm.AddAtomic.Mem(asm.R0, asm.R1, asm.DWord, 8),
	}
	abort := asm.Instructions{
		asm.Mov.Imm(asm.R0, xdpAborted).WithSymbol("abort"),
		asm.Return(),
	}
	return append(append(count, decide(what, target)...), abort...)
}

func decide(what action, target *ebpf.Map) asm.Instructions {
	switch what {
	case drop:
		return verdict(xdpDrop)
	case tx:
		return append(swapAddresses(), verdict(xdpTx)...)
	case redirect:
		return follow(target, xdpAborted, asm.Mov.Imm(asm.R2, 0))
	case copied, zeroCopy:
		// A queue without a socket is the kernel's.
		return follow(target, xdpPass, asm.LoadMem(asm.R2, asm.R6, contextQueue, asm.Word))
	}
	return verdict(xdpPass)
}

func verdict(v int32) asm.Instructions {
	return asm.Instructions{asm.Mov.Imm(asm.R0, v), asm.Return()}
}

// follow sends the packet where entry R2 of a map leads, which key sets.
func follow(target *ebpf.Map, otherwise int32, key asm.Instruction) asm.Instructions {
	return asm.Instructions{
		key,
		asm.LoadMapPtr(asm.R1, target.FD()),
		asm.Mov.Imm(asm.R3, otherwise),
		asm.FnRedirectMap.Call(),
		asm.Return(),
	}
}

// swapAddresses exchanges a packet's MAC addresses, word by word of three.
func swapAddresses() asm.Instructions {
	list := asm.Instructions{
		asm.Mov.Reg(asm.R1, asm.R7),
		asm.Add.Imm(asm.R1, addressBytes),
		asm.JGT.Reg(asm.R1, asm.R8, "abort"),
	}
	for at := int16(0); at < addressBytes/2; at += 2 {
		list = append(list,
			asm.LoadMem(asm.R1, asm.R7, at, asm.Half),
			asm.LoadMem(asm.R2, asm.R7, at+addressBytes/2, asm.Half),
			asm.StoreMem(asm.R7, at, asm.R2, asm.Half),
			asm.StoreMem(asm.R7, at+addressBytes/2, asm.R1, asm.Half),
		)
	}
	return list
}
