"""What clickhouse-connect sends: sessions, LZ4 bodies, forms, external data; prints one fact a line. Argument: port."""

import sys

import clickhouse_connect
from clickhouse_connect.driver.external import ExternalData

port = int(sys.argv[1])
print("version", clickhouse_connect.__version__ if hasattr(clickhouse_connect, "__version__") else "")
writer = clickhouse_connect.get_client(host="127.0.0.1", port=port, compress="lz4")
writer.command("CREATE OR REPLACE TABLE connect (id UInt64, name String) ENGINE = MergeTree ORDER BY id")
writer.insert("connect", [[row, f"row {row} ü"] for row in range(50000)], column_names=["id", "name"])
writer.command("CREATE TEMPORARY TABLE scratch (n Int32)")
writer.insert("scratch", [[42]], column_names=["n"])
print("session", writer.query("SELECT n FROM scratch").result_rows)
writer.close()
analyst = dict(host="127.0.0.1", port=port, username="analyst", password="analyst")
for form in (False, True):
    client = clickhouse_connect.get_client(**analyst, compress="lz4", form_encode_query_params=form)
    print("rows", client.query("SELECT count(), sum(id), max(name) FROM connect").result_rows)
    print("parameters", client.query("SELECT {n:UInt8} AS n, {s:String} AS s", parameters={"n": 7, "s": "it's ü"}).result_rows)
    print("streamed", sum(len(row[1]) for row in client.query("SELECT id, name FROM connect").result_rows))
    ids = ExternalData(file_name="ids.csv", data=b"5\n6\n", fmt="CSV", structure=["x UInt64"])
    found = client.query("SELECT id FROM connect WHERE id IN (SELECT x FROM ids) ORDER BY id", external_data=ids)
    print("external", found.result_rows)
    try:
        client.query("SELECT * FROM file('/etc/hostname', 'LineAsString')")
    except Exception as error:
        print("refused", "ACCESS_DENIED" in str(error))
    client.close()
