package tarindex

// A contentList is the contents of a layer, each once, and which of them the
// payloads of the stream are. A stream that has one content a million times
// takes four bytes for each.
type contentList struct {
	unique  []contentRecord
	number  map[Hash]int32 // in unique
	payload []int32        // numbers, in the order of the stream
}

func (l *contentList) add(h Hash, size int64) {
	n, ok := l.number[h]
	if !ok {
		if l.number == nil {
			l.number = make(map[Hash]int32)
		}
		n = int32(len(l.unique))
		l.unique = append(l.unique, contentRecord{hash: h, size: size})
		l.number[h] = n
	}
	l.payload = append(l.payload, n)
}

// seal ends the adding. The map is half of the list's memory.
func (l *contentList) seal() { l.number = nil }
