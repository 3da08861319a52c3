package generator

import (
	"fmt"
	"slices"
	"strings"
)

// unified returns the difference of two texts in the form of diff -u, with three lines around each change.
func unified(name, before, after string) string {
	edits := compare(lines(before), lines(after))
	const around = 3
	var out strings.Builder
	fmt.Fprintf(&out, "--- %s\n+++ %s (generated)\n", name, name)
	for i := 0; i < len(edits); {
		if edits[i].op == ' ' {
			i++
			continue
		}
		start, end, quiet := max(0, i-around), i, 0
		for end < len(edits) && quiet <= 2*around {
			if quiet++; edits[end].op != ' ' {
				quiet = 0
			}
			end++
		}
		end = min(len(edits), end-max(0, quiet-around))
		hunk(&out, edits, start, end)
		i = end
	}
	return out.String()
}

// edit is one line: kept ' ', removed '-' or added '+'.
type edit struct {
	op   byte
	text string
}

func hunk(out *strings.Builder, edits []edit, start, end int) {
	count := func(edits []edit, not byte) (n int) {
		for _, e := range edits {
			if e.op != not {
				n++
			}
		}
		return n
	}
	lines := func(not byte) string {
		first, n := count(edits[:start], not)+1, count(edits[start:end], not)
		if n == 0 {
			first--
		}
		return fmt.Sprintf("%d,%d", first, n)
	}
	fmt.Fprintf(out, "@@ -%s +%s @@\n", lines('+'), lines('-'))
	for _, e := range edits[start:end] {
		fmt.Fprintf(out, "%c%s\n", e.op, e.text)
	}
}

// compare finds the longest common subsequence of lines, in time and memory that grow with the product of their numbers:
// generated files are short.
func compare(a, b []string) []edit {
	length := make([][]int, len(a)+1)
	for i := range length {
		length[i] = make([]int, len(b)+1)
	}
	for i, old := range slices.Backward(a) {
		for j, generated := range slices.Backward(b) {
			if old == generated {
				length[i][j] = length[i+1][j+1] + 1
			} else {
				length[i][j] = max(length[i+1][j], length[i][j+1])
			}
		}
	}
	var edits []edit
	for i, j := 0, 0; i < len(a) || j < len(b); {
		switch {
		case i < len(a) && j < len(b) && a[i] == b[j]:
			edits = append(edits, edit{' ', a[i]})
			i, j = i+1, j+1
		case j == len(b) || i < len(a) && length[i+1][j] >= length[i][j+1]:
			edits = append(edits, edit{'-', a[i]})
			i++
		default:
			edits = append(edits, edit{'+', b[j]})
			j++
		}
	}
	return edits
}

func lines(text string) []string {
	if text == "" {
		return nil
	}
	return strings.Split(strings.TrimSuffix(text, "\n"), "\n")
}
