package sagemaker

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	"loradeck/internal/sqlite"
)

// store is the tables.
type store struct{ db *sqlite.DB }

// Status words of endpoints and components.
const (
	creating  = "Creating"
	inService = "InService"
	updating  = "Updating"
	failed    = "Failed"
	deleting  = "Deleting"
)

// named is a row of sm_endpoint_config or sm_model.
type named struct {
	name    string
	body    string
	created moment
}

type endpointRow struct {
	name, config, variants, settings, status, reason, wish string
	created, modified                                      moment
}

type componentRow struct {
	name, endpoint, variant, base, body, status, reason, wish string
	copies, placed, surge                                     int
	created, modified                                         moment
}

func (s store) write(ctx context.Context, do func(tx *sql.Tx) error) error {
	return s.db.Write(ctx, do)
}

// getNamed reads a row of a table of named bodies; found is false when there is none.
func (s store) getNamed(ctx context.Context, table, name string) (row named, found bool, err error) {
	err = s.db.Read().QueryRowContext(ctx, "SELECT name, body, created_at FROM "+table+" WHERE name = ?", name).Scan(&row.name, &row.body, &row.created)
	return row, err == nil, unlessMissing(err)
}

func (s store) allNamed(ctx context.Context, table string) ([]named, error) {
	return collect(ctx, s.db, "SELECT name, body, created_at FROM "+table, func(scan func(...any) error) (n named, err error) {
		err = scan(&n.name, &n.body, &n.created)
		return n, err
	})
}

func (s store) endpoint(ctx context.Context, name string) (row endpointRow, found bool, err error) {
	err = scanEndpoint(s.db.Read().QueryRowContext(ctx, "SELECT "+endpointColumns+" FROM sm_endpoint WHERE name = ?", name).Scan, &row)
	return row, err == nil, unlessMissing(err)
}

const endpointColumns = "name, config, variants, settings, status, reason, wish, created_at, modified_at"

func scanEndpoint(scan func(...any) error, e *endpointRow) error {
	return scan(&e.name, &e.config, &e.variants, &e.settings, &e.status, &e.reason, &e.wish, &e.created, &e.modified)
}

func (s store) endpoints(ctx context.Context) ([]endpointRow, error) {
	return collect(ctx, s.db, "SELECT "+endpointColumns+" FROM sm_endpoint", func(scan func(...any) error) (e endpointRow, err error) {
		err = scanEndpoint(scan, &e)
		return e, err
	})
}

const componentColumns = "name, endpoint, variant, base, body, status, reason, wish, copies, placed, surge, created_at, modified_at"

func scanComponent(scan func(...any) error, c *componentRow) error {
	return scan(&c.name, &c.endpoint, &c.variant, &c.base, &c.body, &c.status, &c.reason, &c.wish, &c.copies, &c.placed, &c.surge, &c.created, &c.modified)
}

func (s store) component(ctx context.Context, name string) (row componentRow, found bool, err error) {
	err = scanComponent(s.db.Read().QueryRowContext(ctx, "SELECT "+componentColumns+" FROM sm_component WHERE name = ?", name).Scan, &row)
	return row, err == nil, unlessMissing(err)
}

func (s store) components(ctx context.Context) ([]componentRow, error) {
	return collect(ctx, s.db, "SELECT "+componentColumns+" FROM sm_component ORDER BY created_at, name", func(scan func(...any) error) (c componentRow, err error) {
		err = scanComponent(scan, &c)
		return c, err
	})
}

// settle stores what may change of a component and reports whether it was still in the status it is to come from: a later
// lifetime under the same name, or a deletion meanwhile, is left alone.
func (s store) settle(ctx context.Context, from string, c componentRow) (moved bool, err error) {
	err = s.write(ctx, func(tx *sql.Tx) error {
		moved, err = settleComponent(ctx, tx, from, c)
		return err
	})
	return moved, err
}

func settleComponent(ctx context.Context, tx *sql.Tx, from string, c componentRow) (moved bool, err error) {
	return changed(tx.ExecContext(ctx, `UPDATE sm_component SET body = ?, status = ?, reason = ?, wish = ?, copies = ?, placed = ?, surge = ?, modified_at = ?
		WHERE name = ? AND created_at = ? AND status = ?`,
		c.body, c.status, c.reason, c.wish, c.copies, c.placed, c.surge, c.modified, c.name, c.created, from))
}

// changed reports whether a statement changed a row.
func changed(result sql.Result, err error) (bool, error) {
	if err != nil {
		return false, err
	}
	rows, err := result.RowsAffected()
	return rows > 0, err
}

func (s store) tags(ctx context.Context, arn string) ([]tag, error) {
	return collect(ctx, s.db, "SELECT key, value FROM sm_tag WHERE arn = ? ORDER BY key", func(scan func(...any) error) (t tag, err error) {
		err = scan(&t.Key, &t.Value)
		return t, err
	}, arn)
}

func putTags(ctx context.Context, tx *sql.Tx, arn string, tags []tag) error {
	for _, t := range tags {
		if _, err := tx.ExecContext(ctx, "INSERT INTO sm_tag (arn, key, value) VALUES (?, ?, ?) ON CONFLICT (arn, key) DO UPDATE SET value = excluded.value", arn, t.Key, t.Value); err != nil {
			return fmt.Errorf("store tags of %s: %w", arn, err)
		}
	}
	return nil
}

// drop deletes a row and the tags of its resource.
func (s store) drop(ctx context.Context, table, name, arn string) error {
	return s.write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "DELETE FROM "+table+" WHERE name = ?", name)
		_, tagErr := tx.ExecContext(ctx, "DELETE FROM sm_tag WHERE arn = ?", arn)
		return errors.Join(err, tagErr)
	})
}

func collect[T any](ctx context.Context, db *sqlite.DB, query string, read func(scan func(...any) error) (T, error), args ...any) ([]T, error) {
	rows, err := db.Read().QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []T
	for rows.Next() {
		row, err := read(rows.Scan)
		if err != nil {
			return nil, err
		}
		all = append(all, row)
	}
	return all, rows.Err()
}

func unlessMissing(err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	return err
}

// encoded gives a body as it is stored. The shapes always marshal.
func encoded(value any) string {
	text, err := json.Marshal(value)
	if err != nil {
		panic(fmt.Sprintf("sagemaker: shape does not marshal: %v", err))
	}
	return string(text)
}
