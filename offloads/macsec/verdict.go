package macsec

import "fmt"

// Verdict is what became of a frame. All but a few have the name of the counter that counts
// them (10.7).
type Verdict uint8

// What becomes of frames on transmit.
const (
	OutUntagged Verdict = iota // not to be protected, and sent as it is
	OutProtected
	OutEncrypted
	OutTooLong  // dropped: protected, it would be longer than may be sent
	OutTooShort // dropped: it has no user data; the standard knows no such frame, and no counter
	OutNoSA     // dropped: the encoding SA is not there, or out of packet numbers; has no counter
)

// What becomes of frames on receive.
const (
	InPassed     Verdict = iota + OutNoSA + 1 // delivered as it is: nothing is processed; has no counter
	InUntagged                                // delivered: there is no SecTAG
	InNoTag                                   // dropped: there is no SecTAG
	InReserved                                // dropped: E without C is not for the controlled port (10.6); has no counter
	InBadTag                                  // dropped: the SecTAG is not valid
	InUnknownSCI                              // delivered unchecked: the channel is not known
	InNoSCI                                   // dropped: the channel is not known
	InUnusedSA                                // delivered unchecked: the association is not in use
	InNotUsingSA                              // dropped: the association is not in use
	InLate                                    // dropped: below the replay window
	InDelayed                                 // delivered: below the replay window, which does not matter
	InUnchecked                               // delivered: not validated
	InInvalid                                 // delivered: not genuine, but nothing in it is encrypted
	InNotValid                                // dropped: not genuine
	InOK                                      // delivered
)

var verdicts = [...]struct {
	name string
	goes bool
}{
	OutUntagged:  {"OutPktsUntagged", true},
	OutProtected: {"OutPktsProtected", true},
	OutEncrypted: {"OutPktsEncrypted", true},
	OutTooLong:   {"OutPktsTooLong", false},
	OutTooShort:  {"no user data", false},
	OutNoSA:      {"no transmit SA in use", false},
	InPassed:     {"passed", true},
	InUntagged:   {"InPktsUntagged", true},
	InNoTag:      {"InPktsNoTag", false},
	InReserved:   {"not for the controlled port", false},
	InBadTag:     {"InPktsBadTag", false},
	InUnknownSCI: {"InPktsUnknownSCI", true},
	InNoSCI:      {"InPktsNoSCI", false},
	InUnusedSA:   {"InPktsUnusedSA", true},
	InNotUsingSA: {"InPktsNotUsingSA", false},
	InLate:       {"InPktsLate", false},
	InDelayed:    {"InPktsDelayed", true},
	InUnchecked:  {"InPktsUnchecked", true},
	InInvalid:    {"InPktsInvalid", true},
	InNotValid:   {"InPktsNotValid", false},
	InOK:         {"InPktsOK", true},
}

func (v Verdict) String() string {
	if int(v) < len(verdicts) {
		return verdicts[v].name
	}
	return fmt.Sprintf("verdict %d", uint8(v))
}

// Goes says whether the frame goes on: to the wire, or to the controlled port.
func (v Verdict) Goes() bool { return int(v) < len(verdicts) && verdicts[v].goes }
