package main

import (
	"io"
	"math"
	"math/rand/v2"
)

// words is the vocabulary of the text inputs: 4,096 made-up words of 2 to 13 letters, some with what code has around them.
var words = func() []string {
	r := rand.New(rand.NewPCG(1, 2))
	ends := []string{" ", " ", " ", " ", ".", "(", ");\n", " = ", ",\n  ", "\n"}
	list := make([]string, 4096)
	for i := range list {
		word := make([]byte, 2+r.IntN(12))
		for j := range word {
			word[j] = "etaoinshrdlucmfw"[r.IntN(16)]
		}
		list[i] = string(word) + ends[r.IntN(len(ends))]
	}
	return list
}()

// prose is text of so many bytes, always the same for a name. Words are as uneven as in source code, so that it compresses
// to about 0.3 with gzip, as that does.
func prose(name string, size int64) func() (io.Reader, error) {
	return func() (io.Reader, error) {
		return &writer{Rand: rand.New(rand.NewPCG(seed(name), 0)), left: size}, nil
	}
}

// writer reads as text.
type writer struct {
	*rand.Rand
	rest string // of a word
	left int64
}

func (w *writer) Read(p []byte) (int, error) {
	p = p[:min(int64(len(p)), w.left)]
	n := 0
	for n < len(p) {
		if w.rest == "" {
			// The density of the product of three is highest at 0: few words make most of the text.
			w.rest = words[int(w.Float64()*w.Float64()*w.Float64()*float64(len(words)))]
		}
		done := copy(p[n:], w.rest)
		n, w.rest = n+done, w.rest[done:]
	}
	w.left -= int64(n)
	if w.left == 0 {
		return n, io.EOF
	}
	return n, nil
}

// spread is a number for a name, log-normal around a median as the sizes of files are: sigma 1.5 has a tenth of them below
// a seventh of the median and a tenth above seven times as much.
func spread(name string, median, sigma float64) int64 {
	return int64(median * math.Exp(sigma*rand.New(rand.NewPCG(seed(name), 1)).NormFloat64()))
}
