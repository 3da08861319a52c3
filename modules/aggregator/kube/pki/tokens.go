package pki

import (
	"bytes"
	"crypto/rand"
	"encoding/csv"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
)

const tokenBytes = 32

// ensureTokens makes the static token file of upstream's format, with one administrator token, unless there is one. An
// existing file belongs to the operator: its tokens are not changed, and none is added.
func (b *builder) ensureTokens() error {
	const name = "tokens.csv"
	path := b.path(name)
	content, err := readOptional(path)
	if err != nil {
		return err
	}
	if content != nil {
		if err := checkTokens(content); err != nil {
			return fmt.Errorf("token file %q: %w: correct the line, or move the file away to have a new one made", path, err)
		}
		return restrict(path, privateMode)
	}
	token := make([]byte, tokenBytes)
	if _, err := rand.Read(token); err != nil {
		return fmt.Errorf("make administrator token: %w", err)
	}
	var out bytes.Buffer
	w := csv.NewWriter(&out)
	if err := w.Write([]string{hex.EncodeToString(token), AdminUser, AdminUser, AdminGroup}); err != nil {
		return fmt.Errorf("make token file %q: %w", path, err)
	}
	w.Flush()
	return b.store(name, out.Bytes(), privateMode)
}

// checkTokens accepts what upstream's reader accepts: token, user, uid, and optionally groups. An empty file means no tokens.
func checkTokens(content []byte) error {
	r := csv.NewReader(bytes.NewReader(content))
	r.FieldsPerRecord = -1
	for {
		record, err := r.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			// The parse error says line and column, and quotes nothing of the content.
			return err
		}
		if line, _ := r.FieldPos(0); len(record) < 3 {
			return fmt.Errorf("line %d: %d columns: must be token,user,uid and optionally groups", line, len(record))
		} else if record[0] == "" {
			return fmt.Errorf("line %d: empty token", line)
		}
	}
}
