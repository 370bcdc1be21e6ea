package sqlite

import (
	"context"
	"fmt"
	"io/fs"

	"github.com/pressly/goose/v3"

	"loradeck/internal/lora"
)

// Migrate applies the migrations that this file has not seen, in order, each in a transaction of its own. They are goose SQL
// files at the root of migrations, such as 00001_init.sql. A file that a newer program has migrated further is refused.
func (d *DB) Migrate(ctx context.Context, migrations fs.FS) error {
	return d.migrate(ctx, goose.DefaultTablename, migrations)
}

// MigrateSet is Migrate for a room that shares the file with others: each set counts its versions in a table of its own. The
// name is a SQL identifier, such as "s3".
func (d *DB) MigrateSet(ctx context.Context, name string, migrations fs.FS) error {
	return d.migrate(ctx, name+"_version", migrations)
}

func (d *DB) migrate(ctx context.Context, table string, migrations fs.FS) error {
	provider, err := goose.NewProvider(goose.DialectSQLite3, d.writer, migrations,
		goose.WithTableName(table), goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return fmt.Errorf("read migrations: %w", err)
	}
	have, err := provider.GetDBVersion(ctx)
	if err != nil {
		return fmt.Errorf("read schema version: %w", err)
	}
	sources := provider.ListSources()
	if newest := sources[len(sources)-1].Version; have > newest {
		return lora.Errorf(lora.Conflict, "%s was written by a newer loradeck (schema %d, this one knows %d). Start that version, or give this one another data directory.",
			d.path, have, newest)
	}
	if _, err := provider.Up(ctx); err != nil {
		return fmt.Errorf("migrate %s: %w", d.path, err)
	}
	return nil
}
