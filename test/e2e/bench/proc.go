package main

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// cpuOf returns the CPU seconds that process pid has used in user and kernel mode, threads that ended included
// (proc(5), /proc/PID/stat). The kernel counts in hundredths of a second.
func cpuOf(pid int) (float64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	return parseStat(string(text))
}

func parseStat(text string) (float64, error) {
	// The second field, the name, is in parentheses and may hold anything.
	_, rest, ok := cutLast(text, ")")
	fields := strings.Fields(rest)
	if !ok || len(fields) < 13 {
		return 0, fmt.Errorf("cannot read process state %q", text)
	}
	user, err1 := strconv.ParseFloat(fields[11], 64)   // field 14 of proc(5)
	kernel, err2 := strconv.ParseFloat(fields[12], 64) // field 15
	if err1 != nil || err2 != nil {
		return 0, fmt.Errorf("cannot read process state %q", text)
	}
	const ticks = 100 // USER_HZ of every Linux
	return (user + kernel) / ticks, nil
}

func cutLast(s, sep string) (before, after string, found bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

// memoryOf returns the resident memory of process pid in bytes: its highest and that of now.
func memoryOf(pid int) (peak, now int64, err error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, 0, err
	}
	return statusBytes(string(text), "VmHWM"), statusBytes(string(text), "VmRSS"), nil
}

// statusBytes reads one size of /proc/PID/status; 0 when the process has none, as a zombie.
func statusBytes(text, field string) int64 {
	for line := range strings.Lines(text) {
		if value, ok := strings.CutPrefix(line, field+":"); ok {
			kib, _ := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
			return kib << 10
		}
	}
	return 0
}

// clientCPU is what this process and its children that ended have used.
func clientCPU() float64 {
	var total time.Duration
	for _, who := range []int{unix.RUSAGE_SELF, unix.RUSAGE_CHILDREN} {
		var u unix.Rusage
		if unix.Getrusage(who, &u) == nil {
			total += time.Duration(u.Utime.Nano() + u.Stime.Nano())
		}
	}
	return total.Seconds()
}

// timed runs a command to its end and measures it with its children, as far as those that started them have waited for
// them.
func timed(cmd *exec.Cmd) (sample, error) {
	var s sample
	err := finish(cmd, func() error {
		start := time.Now()
		if err := cmd.Start(); err != nil {
			return err
		}
		stop := make(chan struct{})
		peak := make(chan int64)
		go func() { peak <- watchPeak(cmd.Process.Pid, stop) }()
		err := cmd.Wait()
		s.Seconds = time.Since(start).Seconds()
		close(stop)
		s.Peak = <-peak
		if s.Seconds < 10*peakEvery.Seconds() {
			s.Peak = 0 // too short to have seen its highest
		}
		s.CPU = (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds()
		if usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
			s.Written = usage.Oublock * 512 // getrusage(2); pages made dirty, whether or not they have gone to disk yet
		}
		return err
	})
	return s, err
}

// peakEvery is how often the memory of a command is looked at.
const peakEvery = 5 * time.Millisecond

// watchPeak samples the memory of a process and its descendants and returns the highest of one of them. The
// kernel's own figure for ended children, ru_maxrss, counts the memory of the process that started them, too.
func watchPeak(pid int, stop <-chan struct{}) (peak int64) {
	tick := time.NewTicker(peakEvery)
	defer tick.Stop()
	for {
		peak = max(peak, peakBelow(pid))
		select {
		case <-stop:
			return peak
		case <-tick.C:
		}
	}
}

func peakBelow(pid int) int64 {
	peak, _, err := memoryOf(pid)
	if err != nil {
		return 0 // it has ended
	}
	children, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	for _, child := range strings.Fields(string(children)) {
		if n, err := strconv.Atoi(child); err == nil {
			peak = max(peak, peakBelow(n))
		}
	}
	return peak
}

// mountsBelow lists the mount points in dir of this process's namespace, in the order of their mounting.
func mountsBelow(dir string) []string {
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return nil
	}
	defer f.Close()
	var targets []string
	for lines := bufio.NewScanner(f); lines.Scan(); {
		// Field 5 of proc(5); the run's own names need no unescaping.
		if fields := strings.Fields(lines.Text()); len(fields) > 4 && strings.HasPrefix(fields[4], dir+"/") {
			targets = append(targets, fields[4])
		}
	}
	return targets
}
