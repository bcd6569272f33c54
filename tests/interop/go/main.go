// Apache's Go client (rocketmq-client-go v2) against a cluster.
//
//	interop NAMESRV [case-regex]   run the cases; one line each, PASS or FAIL, and a sum at the end
//	interop ports N                print N TCP ports that are free now, chosen by the kernel
//	interop member NAMESRV GROUP TOPIC   a member of a group with others; see member.go
//
// The cases stand in cases.go. Each has a topic and a group of its own, so any order works.
package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"regexp"
	"strconv"
	"time"

	rocketmq "github.com/apache/rocketmq-client-go/v2"
	"github.com/apache/rocketmq-client-go/v2/primitive"
	"github.com/apache/rocketmq-client-go/v2/producer"
	"github.com/apache/rocketmq-client-go/v2/rlog"
)

const caseTimeout = 60 * time.Second

var background = context.Background()

func main() {
	if len(os.Args) == 3 && os.Args[1] == "ports" {
		printFreePorts(os.Args[2])
		return
	}
	if len(os.Args) == 5 && os.Args[1] == "member" {
		rlog.SetLogLevel("error")
		runMember(os.Args[2], os.Args[3], os.Args[4])
		return
	}
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: interop NAMESRV [case-regex]")
		os.Exit(2)
	}
	rlog.SetLogLevel("error")
	chosen := regexp.MustCompile("")
	if len(os.Args) > 2 {
		chosen = regexp.MustCompile(os.Args[2])
	}
	os.Exit(runAll(os.Args[1], chosen))
}

func runAll(namesrv string, chosen *regexp.Regexp) int {
	if err := waitForBroker(namesrv, 60*time.Second); err != nil {
		fmt.Printf("FAIL broker_is_reachable: %v\n0 passed, 1 failed\n", err)
		return 1
	}
	passed, failed := 0, 0
	for _, test := range cases {
		if !chosen.MatchString(test.name) {
			continue
		}
		if why := runOne(namesrv, test); why != "" {
			fmt.Printf("FAIL %s: %s\n", test.name, why)
			failed++
		} else {
			fmt.Printf("PASS %s\n", test.name)
			passed++
		}
	}
	fmt.Printf("%d passed, %d failed\n", passed, failed)
	if failed > 0 || passed == 0 {
		return 1
	}
	return 0
}

// runOne answers why the case failed, or "". A case fails by panicking.
func runOne(namesrv string, test testCase) string {
	verdict := make(chan string, 1)
	go func() {
		room := newRoom(namesrv, test.name)
		defer func() {
			why := ""
			if r := recover(); r != nil {
				why = fmt.Sprint(r)
			}
			room.close()
			verdict <- why
		}()
		test.run(room)
	}()
	select {
	case why := <-verdict:
		return why
	case <-time.After(caseTimeout):
		return fmt.Sprintf("not finished after %v", caseTimeout)
	}
}

// waitForBroker sends until a broker behind the NameServer has acknowledged one message.
func waitForBroker(namesrv string, limit time.Duration) error {
	end := time.Now().Add(limit)
	for attempt := 0; ; attempt++ {
		err := sendProbe(namesrv, attempt)
		if err == nil || time.Now().After(end) {
			return err
		}
		time.Sleep(200 * time.Millisecond)
	}
}

func sendProbe(namesrv string, attempt int) error {
	p, err := rocketmq.NewProducer(
		producer.WithNsResolver(primitive.NewPassthroughResolver([]string{namesrv})),
		producer.WithGroupName("probe"), producer.WithInstanceName(fmt.Sprint("probe", attempt)),
		producer.WithRetry(0))
	if err != nil {
		return err
	}
	if err = p.Start(); err != nil {
		return err
	}
	defer p.Shutdown()
	_, err = p.SendSync(background, primitive.NewMessage("interop_go_probe", []byte("probe")))
	return err
}

func printFreePorts(count string) {
	n, err := strconv.Atoi(count)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	for i := 0; i < n; i++ {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		defer listener.Close() // only at the end: so that all are different
		fmt.Println(listener.Addr().(*net.TCPAddr).Port)
	}
}
