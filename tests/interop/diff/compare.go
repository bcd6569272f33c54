package main

import (
	"encoding/json"
	"fmt"
	"regexp"
	"sort"
	"strings"
)

var (
	anAddress   = regexp.MustCompile(`/?127\.0\.0\.1:\d+`)
	anException = regexp.MustCompile(`(java|io|com|org)\.[a-z0-9.]+\.[A-Z][A-Za-z]*(Exception|Error)`)
	aTime       = regexp.MustCompile(`\b1[67]\d{11}\b`)
	aJavaID     = regexp.MustCompile(`^([0-9A-F]{32}|[0-9A-F]{56})$`)
	bareKey     = regexp.MustCompile(`([{,])(-?\d+):`)
)

// varying are fields whose values are each broker's own.
var varying = map[string]bool{"msgId": true, "indexLastUpdateTimestamp": true, "recallHandle": true}

func tidy(s string) string {
	return aTime.ReplaceAllString(anAddress.ReplaceAllString(s, "<addr>"), "<time>")
}

// lines turns an answer into lines that are the same when the answers are.
func (a answer) lines() []string {
	if a.closed {
		return []string{"closed"}
	}
	if a.none {
		return []string{"nothing"}
	}
	out := []string{fmt.Sprintf("code %d", a.code)}
	switch {
	case a.remark == "", a.code == 0 && a.remark == "not set any response code":
	case anException.MatchString(a.remark):
		out = append(out, "remark <exception>")
	default:
		out = append(out, "remark "+tidy(a.remark))
	}
	for _, k := range sortedKeys(a.fields) {
		v := a.fields[k]
		if varying[k] {
			v = fmt.Sprintf("<%d bytes>", len(v))
		} else if k == "transactionId" && aJavaID.MatchString(v) {
			v = "<id>"
		}
		out = append(out, "field "+k+" "+tidy(v))
	}
	return append(out, bodyLines(a.body)...)
}

func bodyLines(body []byte) []string {
	if len(body) == 0 {
		return nil
	}
	if list := decodeRecords(body); list != nil {
		var out []string
		for _, r := range list {
			out = append(out, "record "+r.String())
		}
		return out
	}
	var tree interface{}
	if json.Unmarshal(bareKey.ReplaceAll(body, []byte(`$1"$2":`)), &tree) == nil {
		var out []string
		flatten("body", tree, &out)
		sort.Strings(out)
		return out
	}
	return []string{fmt.Sprintf("body %.2000q", tidy(string(body)))}
}

// flatten writes a JSON tree as lines path = value; arrays are compared as sets.
func flatten(path string, tree interface{}, out *[]string) {
	switch v := tree.(type) {
	case map[string]interface{}:
		if len(v) == 0 {
			*out = append(*out, path+" {}")
		}
		for k, member := range v {
			flatten(path+"."+k, member, out)
		}
	case []interface{}:
		if len(v) == 0 {
			*out = append(*out, path+" []")
		}
		var all []string
		for _, member := range v {
			var one []string
			flatten("", member, &one)
			sort.Strings(one)
			all = append(all, strings.Join(one, ", "))
		}
		sort.Strings(all)
		for i, one := range all {
			*out = append(*out, fmt.Sprintf("%s[%d] %s", path, i, one))
		}
	case float64:
		*out = append(*out, path+" "+tidy(fmt.Sprintf("%.15g", v)))
	default:
		*out = append(*out, path+" "+tidy(fmt.Sprint(v)))
	}
}

// differences of two answers; a text of ours in the place of a Java exception is no difference.
func differences(theirs, ours answer) []string {
	a, b := theirs.lines(), ours.lines()
	threw := theirs.code == 1 && ours.code == 1 && ours.remark != "" &&
		(theirs.remark == "" || anException.MatchString(theirs.remark) ||
			strings.Contains(theirs.remark, "org.apache.") || strings.HasPrefix(theirs.remark, "Cannot invoke"))
	count := map[string]int{}
	for _, line := range a {
		count[line]++
	}
	var out []string
	for _, line := range b {
		if count[line] > 0 {
			count[line]--
		} else if !(threw && strings.HasPrefix(line, "remark ")) {
			out = append(out, "  mosaic + "+line)
		}
	}
	for _, line := range a {
		if count[line] > 0 && !(threw && strings.HasPrefix(line, "remark ")) {
			count[line]--
			out = append(out, "  apache + "+line)
		}
	}
	return out
}
