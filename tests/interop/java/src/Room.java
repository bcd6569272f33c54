import java.nio.charset.StandardCharsets;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Deque;
import java.util.HashSet;
import java.util.List;
import java.util.Objects;
import java.util.Set;
import org.apache.rocketmq.client.consumer.DefaultLitePullConsumer;
import org.apache.rocketmq.client.consumer.DefaultMQPullConsumer;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.ConsumeOrderlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.consumer.listener.MessageListenerOrderly;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;

/** What one case works in: a topic and a group of its own, and what is shut down at its end. */
class Room implements AutoCloseable {
	static final long PATIENCE_MS = 45_000;

	interface Condition {
		boolean holds() throws Exception;
	}

	final String namesrv;
	final String topic;
	final String group;
	private final Deque<Runnable> closers = new ArrayDeque<>();
	private int clients;

	Room(String namesrv, String name) {
		String id = name + "_" + ProcessHandle.current().pid();
		this.namesrv = namesrv;
		topic = "java_" + id;
		group = "javagroup_" + id;
	}

	@Override
	public void close() {
		while (!closers.isEmpty()) {
			closers.pop().run();
		}
	}

	/** A client name that no other client has: clients of one name share a connection. */
	private String instance() {
		return group + "_" + ++clients;
	}

	// Producers

	DefaultMQProducer producer() throws Exception {
		DefaultMQProducer p = new DefaultMQProducer("p" + group);
		p.setNamesrvAddr(namesrv);
		p.setInstanceName(instance());
		p.setSendMsgTimeout(10_000);
		p.start();
		closers.push(p::shutdown);
		return p;
	}

	Message message(String prefix, int number) {
		return new Message(topic, utf8(prefix + " " + number));
	}

	void send(DefaultMQProducer p, int from, int to) throws Exception {
		for (int i = from; i < to; i++) {
			p.send(message("message", i));
		}
	}

	/** Makes the broker create the topic; the message is the first of it. */
	void createTopicBySending(DefaultMQProducer p) throws Exception {
		send(p, 0, 1);
	}

	/** Sends until a broker behind the NameServer has acknowledged one message. */
	void awaitBroker() throws Exception {
		DefaultMQProducer p = producer();
		await("a broker acknowledges a message", () -> p.send(message("probe", 0)) != null);
	}

	// Consumers. The route is waited for before one starts: a consumer that starts before its topic
	// is known looks again only half a minute later.

	DefaultMQPushConsumer pushConsumer(String tags) throws Exception {
		awaitRoute();
		DefaultMQPushConsumer c = new DefaultMQPushConsumer(group);
		c.setNamesrvAddr(namesrv);
		c.setInstanceName(instance());
		c.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
		c.setConsumeThreadMin(2);
		c.setConsumeThreadMax(4);
		c.subscribe(topic, tags);
		closers.push(c::shutdown);
		return c;
	}

	/** A started push consumer that keeps what it receives. */
	Sink collect(String tags) throws Exception {
		return new Sink(pushConsumer(tags)).start();
	}

	DefaultMQPullConsumer pullConsumer() throws Exception {
		awaitRoute();
		DefaultMQPullConsumer c = new DefaultMQPullConsumer(group);
		c.setNamesrvAddr(namesrv);
		c.setInstanceName(instance());
		c.start();
		closers.push(c::shutdown);
		return c;
	}

	DefaultLitePullConsumer litePullConsumer() throws Exception {
		awaitRoute();
		DefaultLitePullConsumer c = new DefaultLitePullConsumer(group);
		c.setNamesrvAddr(namesrv);
		c.setInstanceName(instance());
		c.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
		closers.push(c::shutdown);
		return c;
	}

	private void awaitRoute() throws Exception {
		DefaultMQProducer p = producer();
		await("the NameServer knows the topic", () -> {
			for (MessageQueue queue : p.fetchPublishMessageQueues(topic)) {
				if (queue.getTopic().equals(topic)) {
					return true;
				}
			}
			return false;
		});
	}

	static class Sink {
		final DefaultMQPushConsumer consumer;
		private final List<MessageExt> received = Collections.synchronizedList(new ArrayList<>());

		Sink(DefaultMQPushConsumer consumer) {
			this.consumer = consumer;
		}

		Sink start() throws Exception {
			consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
				received.addAll(messages);
				return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
			});
			consumer.start();
			return this;
		}

		Sink startOrderly() throws Exception {
			consumer.registerMessageListener((MessageListenerOrderly) (messages, context) -> {
				received.addAll(messages);
				return ConsumeOrderlyStatus.SUCCESS;
			});
			consumer.start();
			return this;
		}

		List<MessageExt> messages() {
			synchronized (received) {
				return new ArrayList<>(received);
			}
		}

		/** All bodies in the order in which they came. */
		List<String> bodies() {
			List<String> list = new ArrayList<>();
			for (MessageExt message : messages()) {
				list.add(text(message));
			}
			return list;
		}

		Set<String> distinct() {
			return new HashSet<>(bodies());
		}

		/** Waits for count messages; each must be there once. */
		void expect(int count) throws Exception {
			await(count + " messages are received", () -> received.size() >= count);
			equal("messages received", received.size(), count);
			equal("different messages", distinct().size(), count);
		}
	}

	static byte[] utf8(String text) {
		return text.getBytes(StandardCharsets.UTF_8);
	}

	static String text(MessageExt message) {
		return new String(message.getBody(), StandardCharsets.UTF_8);
	}

	static void check(boolean holds, String format, Object... arguments) {
		if (!holds) {
			throw new AssertionError(String.format(format, arguments));
		}
	}

	static void equal(String what, Object got, Object want) {
		check(Objects.equals(got, want), "%s: got %s, want %s", what, got, want);
	}

	/** An exception counts as "not yet": a route that is missing now may come. */
	static void await(String what, Condition condition) throws InterruptedException {
		Exception last = null;
		for (long end = System.nanoTime() + PATIENCE_MS * 1_000_000; System.nanoTime() < end;) {
			try {
				if (condition.holds()) {
					return;
				}
				last = null;
			} catch (InterruptedException e) {
				throw e;
			} catch (Exception e) {
				last = e;
			}
			Thread.sleep(20);
		}
		check(false, "after %d ms still not true: %s%s", PATIENCE_MS, what, last == null ? "" : " (" + last + ")");
	}
}
