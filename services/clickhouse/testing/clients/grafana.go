// What Grafana's ClickHouse data source does over HTTP, through clickhouse-go; prints one fact a line. Argument: port.
package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
)

func main() {
	for _, method := range []clickhouse.CompressionMethod{clickhouse.CompressionNone, clickhouse.CompressionGZIP, clickhouse.CompressionLZ4, clickhouse.CompressionZSTD} {
		db := clickhouse.OpenDB(&clickhouse.Options{
			Addr:        []string{"127.0.0.1:" + os.Args[1]},
			Protocol:    clickhouse.HTTP,
			Auth:        clickhouse.Auth{Database: "default", Username: "analyst", Password: "analyst"},
			Compression: &clickhouse.Compression{Method: method},
			DialTimeout: 10 * time.Second,
			ReadTimeout: 60 * time.Second,
		})
		// The data source gives a query 60 s, and the driver asks for five more.
		ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
		defer cancel()
		if err := db.PingContext(ctx); err != nil {
			fmt.Println(method, "ping", err)
			continue
		}
		rows, err := db.QueryContext(ctx, `SELECT toStartOfHour(toDateTime('2026-01-01 00:00:00') + number * 60) AS time, count() AS messages,
			avg(number) AS mood, anyLast(toLowCardinality(toString(number % 3))) AS bot, groupArray(toNullable(number % 2)) AS list,
			map('a', number % 2) AS labels, toDateTime64('2026-01-01 00:00:00.123', 3, 'UTC') AS at, toDecimal64(1.5, 2) AS price
			FROM numbers(200000) GROUP BY time, labels ORDER BY time`)
		if err != nil {
			fmt.Println(method, "query", err)
			continue
		}
		count := 0
		for rows.Next() {
			count++
		}
		fmt.Println(method, "rows", count, rows.Err())
		var version string
		fmt.Println(method, "version", db.QueryRowContext(ctx, "SELECT version()").Scan(&version), version != "")
		_, err = db.QueryContext(ctx, "SELECT * FROM nowhere")
		fmt.Println(method, "error", err)
		_, err = db.QueryContext(ctx, "SELECT throwIf(number = 3000000, 'boom') FROM numbers(4000000)")
		fmt.Println(method, "opened", err)
	}
}
