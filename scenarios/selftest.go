package scenarios

var _ = vocabulary(&command{
	usage: "selftest GUEST TEST TABLE [only=CASES] [timeout=TIME]",
	what: "Runs one of the kernel's own tests, such as drivers/net/ping.py, in a guest, and checks that its cases do as the file " +
		"TABLE says: NAME pass|fail|skip|xfail REASON a line, where the reason names the line of the driver or the kernel that " +
		"explains anything but a pass; pass|xfail as such is either. \"(start)\" is a test that ends before any case does, " +
		"\"(end)\" one that ends badly after. CASES are patterns of names, separated by commas. It is killed after TIME, which is " +
		"4m otherwise.",
	run: runSelftest, waits: true,
})
