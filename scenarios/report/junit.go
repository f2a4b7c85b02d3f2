package report

import (
	"encoding/xml"
	"fmt"
	"io"
	"path"
	"strings"
)

// junit is the XML that continuous integration servers collect. There is no
// standard; this is the part that all of them read.
type junit struct {
	out   io.Writer
	suite junitSuite
}

type junitSuite struct {
	XMLName  xml.Name    `xml:"testsuite"`
	Name     string      `xml:"name,attr"`
	Tests    int         `xml:"tests,attr"`
	Failures int         `xml:"failures,attr"`
	Skipped  int         `xml:"skipped,attr"`
	Time     string      `xml:"time,attr"`
	Cases    []junitCase `xml:"testcase"`
	seconds  float64
}

type junitCase struct {
	Name    string      `xml:"name,attr"`
	Class   string      `xml:"classname,attr"`
	Time    string      `xml:"time,attr"`
	Failure *junitCause `xml:"failure"`
	Skipped *junitCause `xml:"skipped"`
	Output  string      `xml:"system-out,omitempty"`
}

type junitCause struct {
	Message string `xml:"message,attr"`
	Text    string `xml:",chardata"`
}

func (j *junit) Plan(int) { j.suite.Name = pkg }

func (j *junit) Result(r Result) {
	c := junitCase{
		Name: r.Name, Class: strings.TrimSuffix(pkg+"/"+path.Dir(r.Name), "/."),
		Time: fmt.Sprintf("%.3f", r.Elapsed.Seconds()), Output: r.Output,
	}
	switch r.Status {
	case Fail:
		c.Failure = &junitCause{r.Reason, r.Log + "\nreplay: " + r.Replay}
	case Skip:
		c.Skipped = &junitCause{r.Reason, ""}
	}
	j.suite.Cases = append(j.suite.Cases, c)
	j.suite.seconds += r.Elapsed.Seconds()
}

func (j *junit) Close(t Totals) error {
	j.suite.Tests = t.Pass + t.Fail + t.Skip
	j.suite.Failures, j.suite.Skipped = t.Fail, t.Skip
	j.suite.Time = fmt.Sprintf("%.3f", j.suite.seconds)
	body, err := xml.MarshalIndent(j.suite, "", "  ")
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(j.out, "%s%s\n", xml.Header, body)
	return err
}
