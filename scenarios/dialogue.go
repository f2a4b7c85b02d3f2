package scenarios

var _ = vocabulary(
	&command{
		usage: "start GUEST NAME PROMPT COMMAND ...",
		what: "Starts a program in a guest, on a terminal of its own, and waits until it prints what matches a regular expression. " +
			"It runs beside the script, which calls it NAME.",
		run: runStart, waits: true,
	},
	&command{
		usage: "tell GUEST NAME WORD ...",
		what: "Types a line for a program that was started, and waits for its prompt, or for its end if that is a success. What it " +
			"has printed since the last prompt is for stdout.",
		run: runTell, waits: true,
	},
)
