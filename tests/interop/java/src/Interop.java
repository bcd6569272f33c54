import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.regex.Pattern;

/**
 * Apache's Java client against a cluster: Interop NAMESRV [case-regex].
 * One line for each case, PASS or FAIL, and a sum at the end. The cases stand in Cases.java; each
 * has a topic and a group of its own, so any order works.
 */
public class Interop {
	interface Case {
		void run(Room room) throws Exception;
	}

	static final int CASE_SECONDS = 60;
	static final Map<String, Case> CASES = new LinkedHashMap<>();

	public static void main(String[] arguments) throws Exception {
		if (arguments.length < 1) {
			System.err.println("usage: Interop NAMESRV [case-regex]");
			System.exit(2);
		}
		String namesrv = arguments[0];
		Pattern chosen = Pattern.compile(arguments.length > 1 ? arguments[1] : "");
		int passed = 0;
		int failed = 0;
		Cases.define();
		String unreachable = runOne("broker_is_reachable", namesrv, Room::awaitBroker);
		if (unreachable != null) {
			System.out.println("FAIL broker_is_reachable: " + unreachable);
			CASES.clear();
			failed = 1;
		}
		for (Map.Entry<String, Case> test : CASES.entrySet()) {
			if (!chosen.matcher(test.getKey()).find()) {
				continue;
			}
			String why = runOne(test.getKey(), namesrv, test.getValue());
			System.out.println(why == null ? "PASS " + test.getKey() : "FAIL " + test.getKey() + ": " + why);
			passed += why == null ? 1 : 0;
			failed += why == null ? 0 : 1;
		}
		System.out.println(passed + " passed, " + failed + " failed");
		System.exit(failed == 0 && passed > 0 ? 0 : 1); // client threads must not keep us
	}

	/** Why the case failed, in one line, or null. */
	private static String runOne(String name, String namesrv, Case body) throws InterruptedException {
		ExecutorService thread = Executors.newSingleThreadExecutor();
		try (Room room = new Room(namesrv, name)) {
			thread.submit(() -> {
				body.run(room);
				return null;
			}).get(CASE_SECONDS, TimeUnit.SECONDS);
			return null;
		} catch (TimeoutException e) {
			return "not finished after " + CASE_SECONDS + " s";
		} catch (ExecutionException e) {
			Throwable cause = e.getCause();
			String text = cause instanceof AssertionError ? cause.getMessage() : cause.toString();
			return String.valueOf(text).replaceAll("\\s+", " ");
		} finally {
			thread.shutdownNow();
		}
	}
}
