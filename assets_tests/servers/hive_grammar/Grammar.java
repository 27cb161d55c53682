import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import org.apache.hadoop.hive.ql.parse.ParseDriver;
import org.apache.hadoop.hive.ql.parse.ParseException;

/** Says for each line of its input, one statement each, whether Hive's own grammar takes it. */
public class Grammar {
    public static void main(String[] arguments) throws Exception {
        BufferedReader lines =
            new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String sql = lines.readLine(); sql != null; sql = lines.readLine()) {
            try {
                new ParseDriver().parse(sql);
                System.out.println("taken");
            } catch (ParseException refused) {
                System.out.println("refused");
            }
        }
    }
}
