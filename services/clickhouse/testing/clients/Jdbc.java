import java.sql.Connection;
import java.sql.DatabaseMetaData;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.Properties;

/** What DBeaver and Metabase ask through JDBC; prints one fact a line. Arguments: port of the endpoint. */
public class Jdbc {
  public static void main(String[] args) throws Exception {
    Class.forName("com.clickhouse.jdbc.ClickHouseDriver");
    String url = "jdbc:clickhouse://127.0.0.1:" + args[0] + "/default";
    Properties writer = new Properties();
    writer.setProperty("user", "default");
    writer.setProperty("password", "");
    writer.setProperty("decompress", "true");
    try (Connection connection = DriverManager.getConnection(url, writer); Statement statement = connection.createStatement()) {
      statement.execute("CREATE TABLE jdbc (id UInt64, name String, at DateTime64(3, 'UTC')) ENGINE = MergeTree ORDER BY id");
      statement.execute("INSERT INTO jdbc SELECT number, 'row ' || toString(number), number FROM numbers(50000)");
      try (PreparedStatement insert = connection.prepareStatement("INSERT INTO jdbc VALUES (?, ?, ?)")) {
        for (int row = 0; row < 3; row += 1) {
          insert.setLong(1, 100000 + row);
          insert.setString(2, "it's ü \\ " + row);
          insert.setString(3, "2026-01-01 00:00:00.000");
          insert.addBatch();
        }
        insert.executeBatch();
      }
    }
    Properties analyst = new Properties();
    analyst.setProperty("user", "analyst");
    analyst.setProperty("password", "analyst");
    try (Connection connection = DriverManager.getConnection(url, analyst)) {
      read(connection);
      metadata(connection);
    }
  }

  static void read(Connection connection) throws SQLException {
    try (Statement statement = connection.createStatement()) {
      try (ResultSet rows = statement.executeQuery("SELECT count() AS n, sum(id) AS s, max(name) AS m FROM jdbc")) {
        rows.next();
        System.out.println("rows " + rows.getLong("n") + " " + rows.getLong("s") + " " + rows.getString("m"));
      }
      long sum = 0;
      try (ResultSet rows = statement.executeQuery("SELECT id, name FROM jdbc")) {
        while (rows.next()) sum += rows.getLong(1) + rows.getString(2).length();
      }
      System.out.println("streamed " + sum);
      try {
        statement.executeQuery("SELECT * FROM nowhere");
      } catch (SQLException error) {
        System.out.println("error " + error.getErrorCode() + " " + error.getMessage().contains("nowhere"));
      }
      try {
        statement.executeQuery("SELECT * FROM file('/etc/hostname', 'LineAsString')");
      } catch (SQLException error) {
        System.out.println("refused " + error.getErrorCode());
      }
    }
    try (PreparedStatement query = connection.prepareStatement("SELECT name FROM jdbc WHERE id = ? AND name LIKE ?")) {
      query.setLong(1, 7);
      query.setString(2, "row%");
      try (ResultSet rows = query.executeQuery()) {
        System.out.println("prepared " + (rows.next() ? rows.getString(1) : "none"));
      }
    }
  }

  static void metadata(Connection connection) throws SQLException {
    DatabaseMetaData about = connection.getMetaData();
    System.out.println("product " + about.getDatabaseProductName() + " " + about.getDatabaseMajorVersion());
    System.out.println("driver " + about.getDriverVersion());
    print("schemas", about.getSchemas(), "TABLE_SCHEM", "default");
    print("catalogs", about.getCatalogs(), "TABLE_CAT", null);
    print("tables", about.getTables(null, "default", "%", new String[] {"TABLE", "VIEW"}), "TABLE_NAME", "jdbc");
    print("table types", about.getTableTypes(), "TABLE_TYPE", "TABLE");
    print("columns", about.getColumns(null, "default", "jdbc", "%"), "COLUMN_NAME", "name");
    print("keys", about.getPrimaryKeys(null, "default", "jdbc"), "COLUMN_NAME", null);
    print("types", about.getTypeInfo(), "TYPE_NAME", "String");
    print("functions", about.getFunctions(null, null, "upper%"), "FUNCTION_NAME", null);
    print("indexes", about.getIndexInfo(null, "default", "jdbc", false, true), "INDEX_NAME", null);
  }

  static void print(String what, ResultSet rows, String column, String expected) throws SQLException {
    int count = 0;
    boolean found = expected == null;
    try (rows) {
      while (rows.next()) {
        count += 1;
        found |= expected != null && expected.equals(rows.getString(column));
      }
    }
    System.out.println(what + " " + (found ? "ok" : "missing among " + count));
  }
}
