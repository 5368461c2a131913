package unionfs

import (
	"container/list"
	"os"
	"sync"
	"sync/atomic"
)

// A descriptor is an open file, shared by all who use it at the moment and
// closed by the last of them.
type descriptor struct {
	*os.File
	fd   int
	base int64 // where in the file the data begins: not 0 for a content among others
	refs atomic.Int32
}

// newDescriptor takes f over; the caller holds the first reference.
func newDescriptor(f *os.File) *descriptor {
	d := &descriptor{File: f, fd: int(f.Fd())}
	d.refs.Store(1)
	return d
}

// opened is newDescriptor of what an open gives.
func opened(f *os.File, err error) (*descriptor, error) {
	if err != nil {
		return nil, err
	}
	return newDescriptor(f), nil
}

func (d *descriptor) acquire() *descriptor {
	d.refs.Add(1)
	return d
}

func (d *descriptor) release() {
	if d.refs.Add(-1) == 0 {
		d.Close()
	}
}

// A descriptorCache keeps the descriptors used last, so that neither every
// request opens a file nor every object holds one. What leaves the cache stays
// open until its last user releases it.
type descriptorCache struct {
	max int

	mu    sync.Mutex
	byKey map[descriptorKey]*list.Element
	lru   list.List // of cached, the one used last in front
}

// A descriptorKey names what is open: an object's own file, or for lower the
// content of a lower inode.
type descriptorKey struct {
	id    uint64
	lower bool
}

type cached struct {
	key descriptorKey
	d   *descriptor
}

func newDescriptorCache(size int) *descriptorCache {
	return &descriptorCache{max: size, byKey: make(map[descriptorKey]*list.Element)}
}

// get returns a reference on the descriptor of key, which open opens if need
// be. Two who open at the same time share the first that arrives.
func (c *descriptorCache) get(key descriptorKey, open func() (*descriptor, error)) (*descriptor, error) {
	c.mu.Lock()
	if e, ok := c.byKey[key]; ok {
		c.lru.MoveToFront(e)
		d := e.Value.(cached).d.acquire()
		c.mu.Unlock()
		return d, nil
	}
	c.mu.Unlock()
	d, err := open()
	if err != nil {
		return nil, err
	}
	return c.put(key, d), nil
}

// put adds d and returns a reference on what the cache now has under key: d, or
// what another has put there first.
func (c *descriptorCache) put(key descriptorKey, d *descriptor) *descriptor {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e, ok := c.byKey[key]; ok {
		d.release()
		return e.Value.(cached).d.acquire()
	}
	c.byKey[key] = c.lru.PushFront(cached{key, d})
	for c.lru.Len() > c.max {
		c.remove(c.lru.Back())
	}
	return d.acquire()
}

// drop forgets the descriptor of key, if there is one.
func (c *descriptorCache) drop(key descriptorKey) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e, ok := c.byKey[key]; ok {
		c.remove(e)
	}
}

func (c *descriptorCache) clear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.lru.Len() > 0 {
		c.remove(c.lru.Back())
	}
}

func (c *descriptorCache) remove(e *list.Element) {
	v := c.lru.Remove(e).(cached)
	delete(c.byKey, v.key)
	v.d.release()
}
