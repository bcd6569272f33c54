// diff sends the same raw requests to Apache's broker and to Mosaic's and compares the answers.
//
//	diff APACHE_BROKER MOSAIC_BROKER [REGEX]
//
// A difference that is meant is listed in meant.go with its reason; any other one fails the run.
package main

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"time"
)

const (
	patience = 5 * time.Second
	settle   = 60 * time.Millisecond // Apache's queues follow its log by some milliseconds
)

// pair is the two brokers as one scenario sees them: side 0 is Apache's, side 1 is ours.
type pair struct {
	addresses      [2]string
	links          [2]*link
	name           string // prefix of the scenario's topics and groups
	scenario       string
	binary, sent   bool
	verbose        bool
	showMeant      bool
	calls, unmeant int
	used           map[string]bool
}

type scenario struct {
	name string
	run  func(p *pair)
}

var scenarios []scenario

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "diff:", err)
		os.Exit(2)
	}
}

// connect opens a fresh pair of connections.
func (p *pair) connect() (links [2]*link) {
	for i := range links {
		l, err := dial(p.addresses[i], p.binary)
		must(err)
		links[i] = l
	}
	return links
}

// do sends q to both and compares. The answers come back for what a scenario wants of them.
func (p *pair) do(what string, q request) [2]answer {
	return p.each(what, p.links, func(int) request { return q }, patience)
}

// each is do for requests that differ: an offset in the log is each broker's own.
func (p *pair) each(what string, links [2]*link, q func(side int) request, limit time.Duration) (got [2]answer) {
	first := q(0)
	isSend := first.code == 10 || first.code == 310 || first.code == 320 || first.code == 36
	if p.sent && !isSend {
		time.Sleep(settle)
	}
	p.sent = isSend
	for side := range links {
		got[side] = links[side].call(q(side), limit)
		if got[side].closed && links == p.links {
			p.links[side].conn.Close()
			l, err := dial(p.addresses[side], p.binary)
			must(err)
			p.links[side] = l
		}
	}
	p.report(what, differences(got[0], got[1]), got)
	return got
}

func (p *pair) report(what string, found []string, got [2]answer) {
	p.calls++
	id := p.scenario + ": " + what
	if p.verbose {
		fmt.Println("CALL", id, "\n      ", strings.Join(got[0].lines(), "\n       "))
	}
	if len(found) == 0 {
		return
	}
	header := map[bool]string{true: " (binary header)"}[p.binary]
	for i := range meant {
		if meant[i].is(id) && meant[i].covers(found) {
			p.used[meant[i].calls] = true
			if p.showMeant {
				fmt.Printf("MEANT %s%s\n  (%s)\n%s\n", id, header, meant[i].why, strings.Join(found, "\n"))
			}
			return
		}
	}
	p.unmeant++
	fmt.Printf("DIFF %s%s\n%s\n", id, header, strings.Join(found, "\n"))
}

// asked compares what both brokers ask their clients by themselves.
func (p *pair) asked(what string, links [2]*link, within time.Duration) {
	var found []string
	theirs, ours := links[0].asked(within), links[1].asked(within/3)
	text := func(list []answer) (s []string) {
		for _, a := range list {
			s = append(s, strings.Join(a.lines(), ", "))
		}
		return s
	}
	a, b := text(theirs), text(ours)
	if strings.Join(a, "\n") != strings.Join(b, "\n") {
		found = []string{fmt.Sprintf("  apache asks %q", a), fmt.Sprintf("  mosaic asks %q", b)}
	}
	p.report(what, found, [2]answer{})
}

func main() {
	if len(os.Args) < 3 {
		fmt.Fprintln(os.Stderr, "usage: diff APACHE_BROKER MOSAIC_BROKER [REGEX]")
		os.Exit(2)
	}
	which := regexp.MustCompile(strings.Join(os.Args[3:], "|"))
	p := &pair{addresses: [2]string{os.Args[1], os.Args[2]}, used: map[string]bool{},
		verbose: os.Getenv("DIFF_VERBOSE") != "", showMeant: os.Getenv("DIFF_MEANT") != ""}
	run := os.Getpid() % 10000
	for _, binary := range []bool{false, true} {
		for _, s := range scenarios {
			if !which.MatchString(s.name) {
				continue
			}
			p.binary, p.sent, p.scenario = binary, false, s.name
			p.name = fmt.Sprintf("d%d%c_%s", run, map[bool]byte{false: 'j', true: 'b'}[binary], s.name)
			p.links = p.connect()
			began := time.Now()
			s.run(p)
			p.links[0].conn.Close()
			p.links[1].conn.Close()
			if p.verbose {
				fmt.Println("TOOK", s.name, time.Since(began))
			}
		}
	}
	for i := range meant {
		if len(os.Args) == 3 && !p.used[meant[i].calls] {
			fmt.Printf("NOT SEEN %s (%s)\n", meant[i].calls, meant[i].why)
		}
	}
	fmt.Printf("%d requests compared, %d differ\n", p.calls, p.unmeant)
	if p.unmeant > 0 {
		os.Exit(1)
	}
}
