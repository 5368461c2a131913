//go:build race

package tarindex

// raced: the race detector is at work, and takes several times the memory.
const raced = true
