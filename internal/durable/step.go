package durable

import "sync/atomic"

// interceptor is nil but in tests.
var interceptor atomic.Pointer[func(step string) error]

// Reach marks that the named step of an operation has just been done. It returns nil, or the error that a test wants
// the operation to meet there; operations treat it as an error of the step itself.
func Reach(step string) error {
	if f := interceptor.Load(); f != nil {
		return (*f)(step)
	}
	return nil
}

// Intercept calls f at each step of every operation of this process until undo is called. It is for tests: f may record
// the steps, kill the process, or return an error. f must be safe for concurrent use.
func Intercept(f func(step string) error) (undo func()) {
	interceptor.Store(&f)
	return func() { interceptor.Store(nil) }
}
