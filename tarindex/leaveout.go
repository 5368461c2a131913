package tarindex

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/vbatts/tar-split/archive/tar"
)

// senseless reports whether the library has stopped because it does not
// understand a header, not because of what is around it. The map of a sparse
// file that is longer than its payload is an early end to it.
func (p *parser) senseless(err error) bool {
	return p.tape.err == nil && (err == tar.ErrHeader || err == io.ErrUnexpectedEOF && !p.tape.eof)
}

// mend deals with a header that the library does not understand: it lets the
// library read what is meant, if that is certain, or leaves the entry out.
func (p *parser) mend() (*tar.Header, error) {
	f, err := p.frame()
	if err != nil {
		return nil, err
	}
	if f.headers != nil {
		p.tar = tar.NewReader(io.MultiReader(bytes.NewReader(f.headers), p.tape))
		if hdr, err := p.tar.Next(); !p.senseless(err) {
			return hdr, err
		}
	}
	if err := p.count(f.name); err != nil {
		return nil, err
	}
	problem := "has a number that makes no sense in its header"
	switch {
	case f.extended:
		problem = "has an extended header that makes no sense"
	case f.sparse:
		problem = "has a sparse map or a number that makes no sense in its header"
	}
	return nil, p.leaveOut(f, fmt.Sprintf("%s at byte %d", problem, f.at))
}

// A misfitError: the payload of a sparse file is not what its map says.
type misfitError struct{ error }

func (p *parser) leaveOutMisfit(misfit misfitError) error {
	f, err := p.frame()
	if err != nil {
		return p.explain(err)
	}
	return p.leaveOut(f, fmt.Sprintf("has a payload that does not fit its sparse map (%v), in its header at byte %d", misfit.error, f.at))
}

// leaveOut warns of an entry and goes to the next.
func (p *parser) leaveOut(f frame, problem string) error {
	p.warnOf(f.name, problem+"; it is left out")
	if f.last {
		return io.EOF
	}
	return p.skip(f)
}

// skip makes the payload of an entry raw and begins anew after it.
func (p *parser) skip(f frame) error {
	if err := p.tape.skipTo(f.end); err != nil {
		return p.explain(cut(err))
	}
	if err := p.tape.skipTo((f.end + tarBlock - 1) &^ (tarBlock - 1)); err != nil && err != io.EOF {
		return p.explain(err)
	}
	p.tar = tar.NewReader(p.tape)
	return nil
}

// cut says that the end of the stream is not where it may be.
func cut(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// lone warns of a block of zeros in the headers at pos with something else after
// it. GNU tar takes that for the end of the archive.
func (p *parser) lone(pos int64) error {
	t := p.tape
	if err := t.needHeaders(pos + 2*tarBlock); err == io.EOF {
		return nil
	} else if err != nil {
		return err
	}
	if !isZero(t.headers[pos+tarBlock:][:tarBlock]) {
		p.note(fmt.Sprintf("the archive ends with a lone zero block before byte %d", t.offset))
	}
	return nil
}

func (p *parser) noHeader(at int64) error {
	if at == 0 {
		return fmt.Errorf("%w: it does not begin with a valid header", ErrNotTar)
	}
	return fmt.Errorf("%w: no valid header at byte %d, after entry %d", ErrNotTar, at, p.entries)
}

// explain gives the errors of the tar library and of the tape the words of this
// package.
func (p *parser) explain(err error) error {
	switch {
	case p.tape.err == errHeaders:
		return fmt.Errorf("after entry %d, at byte %d: %w", p.entries, p.tape.offset, p.limits.exceeded("header", "one entry has headers of more than %d bytes"))
	case p.tape.err != nil:
		return p.tape.err
	case errors.Is(err, ErrNotTar) || errors.Is(err, ErrLimit) || errors.Is(err, ErrTruncated):
		return err
	case errors.Is(err, tar.ErrFieldTooLong):
		return fmt.Errorf("%w: one extended header of more than 1 MiB before byte %d, after entry %d; no option raises this", ErrLimit, p.tape.offset, p.entries)
	case errors.Is(err, io.ErrUnexpectedEOF) && (p.entries > 0 || p.tape.offset >= tarBlock):
		return fmt.Errorf("%w: the stream ends at byte %d, in the middle of entry %d", ErrTruncated, p.tape.offset, p.entries+1)
	case errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("%w: it does not begin with a valid header: %w", ErrNotTar, err)
	default:
		return fmt.Errorf("%w: one sparse map of more than 1 MiB before byte %d, after entry %d; no option raises this: %w", ErrLimit, p.tape.offset, p.entries, err)
	}
}
