package mailer

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"go.uber.org/fx"

	"github.com/detectviz/switchyard/orchestrator"
)

// Settings are what an app supplies.
type Settings struct {
	Dir  string        // the folder that mails are written to; it is created
	Keep time.Duration // how long a mail is kept that nobody picks up; default 24 h
}

// newSpool runs when the module starts, and its hook when it stops: while the module is off, there is no folder.
func newSpool(s Settings, lc fx.Lifecycle) (*os.Root, error) {
	if err := os.MkdirAll(s.Dir, 0o700); err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(s.Dir)
	if err != nil {
		return nil, err
	}
	lc.Append(fx.StopHook(root.Close))
	return root, nil
}

type spoolMailer struct {
	root *os.Root
	keep time.Duration
}

var _ Mailer = (*spoolMailer)(nil)

// newSpoolMailer has the engine run a goroutine: stopping the module ends it and waits for it.
func newSpoolMailer(s Settings, root *os.Root, owner *orchestrator.Owner) Mailer {
	m := &spoolMailer{root: root, keep: cmp.Or(s.Keep, 24*time.Hour)}
	owner.Go("sweep", m.sweep)
	return m
}

func (m *spoolMailer) Send(_ context.Context, mail Mail) error {
	if strings.ContainsAny(mail.To+mail.Subject, "\r\n") {
		return fmt.Errorf("mail to %q: subject %q: allowed is one line each", mail.To, mail.Subject)
	}
	text := fmt.Sprintf("To: %s\r\nSubject: %s\r\n\r\n%s\r\n", mail.To, mail.Subject, mail.Body)
	name := rand.Text()
	err := m.root.WriteFile(name+".new", []byte(text), 0o600)
	if err == nil {
		err = m.root.Rename(name+".new", name+".eml") // whole mails only are picked up
	}
	if err != nil {
		return fmt.Errorf("mail to %q: %w", mail.To, err)
	}
	return nil
}

// sweep removes mails that nobody has picked up. An error makes the module Failed, and the engine starts it again.
func (m *spoolMailer) sweep(ctx context.Context) error {
	ticker := time.NewTicker(max(m.keep/10, time.Second))
	defer ticker.Stop()
	for {
		if err := m.remove(time.Now().Add(-m.keep)); err != nil {
			return err
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return nil
		}
	}
}

func (m *spoolMailer) remove(before time.Time) error {
	mails, err := fs.ReadDir(m.root.FS(), ".")
	if err != nil {
		return err
	}
	for _, mail := range mails {
		if info, err := mail.Info(); err == nil && info.ModTime().Before(before) {
			if err := m.root.Remove(mail.Name()); err != nil {
				return err
			}
		}
	}
	return nil
}
