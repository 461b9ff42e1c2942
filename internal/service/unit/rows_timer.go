package unit

import (
	"errors"
	"time"
)

func timerRows() []row {
	const s = "Timer"
	list := []row{
		{s, "OnCalendar", false, setCalendar},
		{s, "AccuracySec", true, toSpan(func(u *Unit) *time.Duration { return &u.Timer.Accuracy })},
		{s, "RandomizedDelaySec", true, toSpan(func(u *Unit) *time.Duration { return &u.Timer.RandomDelay })},
		{s, "FixedRandomDelay", true, toBool(func(u *Unit) *bool { return &u.Timer.FixedDelay })},
		{s, "Persistent", true, toBool(func(u *Unit) *bool { return &u.Timer.Persistent })},
		{s, "RemainAfterElapse", true, toBool(func(u *Unit) *bool { return &u.Timer.RemainAfter })},
		{s, "Unit", false, setTarget(KindOther, func(u *Unit) *string { return &u.Timer.Unit })},
	}
	for _, base := range []TimerBase{OnActive, OnBoot, OnStartup, OnUnitActive, OnUnitInactive} {
		list = append(list, row{s, string(base), false, setTimerSpan(base)})
	}
	return list
}

func setTimerSpan(base TimerBase) setter {
	return func(d *decoder, value string) error {
		t := d.u.Timer
		if value == "" {
			t.Spans, t.Calendar = nil, nil // of all bases, as systemd has it
			return nil
		}
		value, err := d.expand(value)
		if err != nil {
			return err
		}
		span, err := ParseSpan(value)
		if err != nil {
			return err
		}
		if len(t.Spans) >= mostList {
			return errTooMany
		}
		t.Spans = append(t.Spans, TimerSpan{base, span})
		return nil
	}
}

func setCalendar(d *decoder, value string) error {
	t := d.u.Timer
	if value == "" {
		t.Spans, t.Calendar = nil, nil
		return nil
	}
	value, err := d.expand(value)
	if err != nil {
		return err
	}
	c, err := ParseCalendar(value, d.set.host.Zone)
	if err != nil {
		return err
	}
	if len(t.Calendar) >= mostList {
		return errTooMany
	}
	t.Calendar = append(t.Calendar, c)
	return nil
}

func (d *decoder) finishTimer() error {
	t := d.u.Timer
	if len(t.Spans) == 0 && len(t.Calendar) == 0 {
		return errors.New("the timer has nothing that lets it elapse: want OnCalendar= or its like")
	}
	if t.Unit == "" {
		t.Unit = d.name.Stem() + ".service"
	}
	if t.Unit == d.name.Full {
		return errors.New("the timer would start itself")
	}
	return nil
}
