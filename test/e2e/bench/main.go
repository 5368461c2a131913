package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"syscall"
	"time"
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == overlayHelper {
		os.Exit(holdOverlay(os.Args[2:]))
	}
	os.Exit(program(os.Args[1:], os.Stdout, os.Stderr))
}

// program is main with its world handed in. It returns the exit code.
func program(args []string, stdout, stderr io.Writer) int {
	o, err := parse(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if err != nil {
		fmt.Fprintln(stderr, "bench:", err)
		return 2
	}
	// A second interrupt is ignored while the first one clears up.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	r, err := run(ctx, o, stderr)
	if r != nil {
		r.text(stdout)
		if o.json != "" {
			err = errors.Join(err, r.writeJSON(o.json))
		}
	}
	if err != nil {
		fmt.Fprintln(stderr, "bench:", err)
		return 1
	}
	return 0
}

// options are what the command line says.
type options struct {
	size
	only    *regexp.Regexp // contests to run, by "table: work"
	json    string         // file for the figures
	parent  string         // folder that the run makes its own folder in
	layerfs string         // the program under test
	profile string         // folder for CPU profiles of layerfs; "" = none
}

func parse(args []string, stderr io.Writer) (options, error) {
	var o options
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	tiny := flags.Bool("tiny", false, "tiny inputs, one round: shows that the code works")
	full := flags.Bool("full", os.Getenv("FULL") == "1", "big inputs, more rounds (also FULL=1)")
	only := flags.String("run", "", "only contests whose `regexp` matches \"TABLE: WORK\"")
	rounds := flags.Int("rounds", 0, "at most so many rounds (default: the form's)")
	budget := flags.Duration("budget", 0, "time to keep within (default: the form's)")
	flags.StringVar(&o.json, "json", "", "also write the figures to `FILE`")
	flags.StringVar(&o.parent, "dir", "", "make all files in a new folder in `DIR` (default: $TMPDIR, else /var/tmp)")
	flags.StringVar(&o.layerfs, "layerfs", "", "program to measure (default: $LAYERFS_BIN, bin/layerfs, $PATH)")
	flags.StringVar(&o.profile, "profile", "", "write a CPU profile of every run of layerfs to `DIR`")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	var err error
	if o.profile != "" {
		if o.profile, err = filepath.Abs(o.profile); err == nil {
			err = os.MkdirAll(o.profile, 0o755)
		}
		if err != nil {
			return o, fmt.Errorf("-profile: %w", err)
		}
	}
	switch {
	case flags.NArg() > 0:
		return o, fmt.Errorf("unexpected argument %q; -h lists the options", flags.Arg(0))
	case *tiny:
		o.size = tinySize
	case *full:
		o.size = fullSize
	default:
		o.size = quickSize
	}
	if *rounds > 0 {
		o.rounds = *rounds
	}
	if *budget > 0 {
		o.budget = *budget
	}
	if o.only, err = regexp.Compile(*only); err != nil {
		return o, fmt.Errorf("-run: %w", err)
	}
	return o, nil
}

// size is how much work one form of the benchmark is.
type size struct {
	mode       string
	rounds     int
	budget     time.Duration
	files      int   // files of the Debian-like tree, in 10 layers
	fileLimit  int64 // bytes of its biggest file
	small      int   // files of the tree of small files
	chains     []int // numbers of layers to compare
	chainFiles int   // files in each of those chains
	big        int64 // bytes of the file for data cases
	huge       int64 // bytes of the layer that shows the memory of an import
	ops        int   // files to create and unlink; five times as many records to append
	changed    int   // files to change for changes, diff and commit
	disk       int64 // free bytes needed
}

var (
	tinySize = size{
		mode: "tiny", rounds: 1, budget: 30 * time.Second,
		files: 150, fileLimit: 64 << 10, small: 200, chains: []int{1, 8}, chainFiles: 50,
		big: 2 << 20, huge: 4 << 20, ops: 50, changed: 20, disk: 256 << 20,
	}
	quickSize = size{
		mode: "quick", rounds: 5, budget: 4 * time.Minute,
		files: 10_000, fileLimit: 4 << 20, small: 30_000, chains: []int{1, 8, 32, 128, 400}, chainFiles: 1000,
		big: 256 << 20, huge: 512 << 20, ops: 2500, changed: 1000, disk: 6 << 30,
	}
	fullSize = size{
		mode: "full", rounds: 5, budget: 27 * time.Minute,
		files: 25_000, fileLimit: 32 << 20, small: 100_000, chains: []int{1, 8, 32, 128, 400}, chainFiles: 2000,
		big: 1 << 30, huge: 4 << 30, ops: 20_000, changed: 1000, disk: 24 << 30,
	}
)

var errInterrupted = errors.New("interrupted")

// run does all contests. The report is there even if one of them failed.
func run(ctx context.Context, o options, log io.Writer) (r *report, err error) {
	b, err := newBench(o, log)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, b.clear()) }()
	defer context.AfterFunc(ctx, b.rescue)()
	contests := b.contests()
	if len(contests) == 0 {
		return nil, fmt.Errorf("-run %s matches none of the contests", o.only)
	}
	b.report.Started = time.Now()
	if err := b.findPeers(ctx); err != nil {
		if ctx.Err() != nil {
			err = errInterrupted
		}
		return nil, err
	}
	r = b.report
	r.describe(b)
	err = b.hold(ctx, contests)
	r.finish()
	return r, err
}

// contests lists what is to be done, in the order of the tables.
func (b *bench) contests() []*contest {
	all := b.readContests()
	all = append(all, b.writeContests()...)
	all = append(all, b.chainContests()...)
	all = append(all, b.memoryContest())
	all = append(all, b.importContests()...)
	all = append(all, b.changeContest())
	var chosen []*contest
	for _, c := range all {
		if b.mode == tinySize.mode {
			c.goals = nil // its figures mean nothing
		}
		if b.only.MatchString(c.table + ": " + c.work) {
			chosen = append(chosen, c)
		}
	}
	return chosen
}
