import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.TimeUnit;
import org.apache.rocketmq.client.consumer.DefaultLitePullConsumer;
import org.apache.rocketmq.client.consumer.DefaultMQPullConsumer;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.PullResult;
import org.apache.rocketmq.client.consumer.PullStatus;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendCallback;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.client.producer.SendStatus;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;
import org.apache.rocketmq.remoting.protocol.heartbeat.MessageModel;

/** What Apache's Java client must be able to do. */
class Cases {
	static void define() {
		Map<String, Interop.Case> cases = Interop.CASES;
		cases.put("send_sync_is_acknowledged_with_a_place_in_a_queue", Cases::sendSync);
		cases.put("send_async_calls_back_for_every_message", Cases::sendAsync);
		cases.put("send_oneway_arrives", Cases::sendOneway);
		cases.put("send_batch_arrives_with_all_properties", Cases::sendBatch);
		cases.put("fields_of_a_message_survive", Cases::fieldsSurvive);
		cases.put("compressed_body_arrives_whole", Cases::compressed);
		cases.put("tag_filter_delivers_only_the_subscribed_tags", Cases::tagFilter);
		cases.put("clustering_shares_the_messages_of_a_topic", Cases::clustering);
		cases.put("broadcasting_gives_every_message_to_every_consumer", Cases::broadcasting);
		cases.put("orderly_keeps_the_order_of_each_queue", Cases::orderly);
		cases.put("restarted_consumer_goes_on_where_it_stopped", Cases::restart);
		cases.put("rejected_message_comes_again", Cases::rejected);
		cases.put("pull_reads_a_queue_from_any_offset", Cases::pull);
		cases.put("lite_pull_polls_every_message", Cases::litePull);
		cases.put("offset_of_a_time_is_found", Cases::offsetOfTime);
	}

	private static void sendSync(Room room) throws Exception {
		DefaultMQProducer p = room.producer();
		MessageQueue queue = p.send(room.message("first", 0)).getMessageQueue();
		for (int i = 1; i < 8; i++) {
			SendResult result = p.send(room.message("sync", i), queue);
			Room.equal("status", result.getSendStatus(), SendStatus.SEND_OK);
			Room.equal("queue", result.getMessageQueue(), queue);
			Room.equal("queue offset", result.getQueueOffset(), (long) i);
			Room.equal("length of the offset message id", result.getOffsetMsgId().length(), 32);
		}
		room.collect("*").expect(8);
	}

	private static void sendAsync(Room room) throws Exception {
		int count = 40;
		DefaultMQProducer p = room.producer();
		BlockingQueue<String> results = new ArrayBlockingQueue<>(count);
		for (int i = 0; i < count; i++) {
			p.send(room.message("async", i), new SendCallback() {
				@Override
				public void onSuccess(SendResult result) {
					results.add(result.getSendStatus().name());
				}

				@Override
				public void onException(Throwable e) {
					results.add(e.toString());
				}
			});
		}
		for (int i = 0; i < count; i++) {
			Room.equal("result", results.poll(20, TimeUnit.SECONDS), "SEND_OK");
		}
		room.collect("*").expect(count);
	}

	private static void sendOneway(Room room) throws Exception {
		DefaultMQProducer p = room.producer();
		room.createTopicBySending(p);
		for (int i = 0; i < 10; i++) {
			p.sendOneway(room.message("oneway", i));
		}
		room.collect("*").expect(11);
	}

	private static void sendBatch(Room room) throws Exception {
		List<Message> batch = new ArrayList<>();
		for (int i = 0; i < 10; i++) {
			Message m = new Message(room.topic, "T" + i % 2, "key" + i, Room.utf8("batch " + i));
			m.putUserProperty("number", "" + i);
			batch.add(m);
		}
		SendResult result = room.producer().send(batch);
		Room.equal("status", result.getSendStatus(), SendStatus.SEND_OK);
		Room.equal("message ids", result.getOffsetMsgId().split(",").length, 10);
		Room.Sink sink = room.collect("*");
		sink.expect(10);
		for (MessageExt m : sink.messages()) {
			Room.equal("body", Room.text(m), "batch " + m.getUserProperty("number"));
			Room.equal("keys", m.getKeys(), "key" + m.getUserProperty("number"));
		}
	}

	private static void fieldsSurvive(Room room) throws Exception {
		Message m = new Message(room.topic, "ярлык", "k1 k2", 12345, Room.utf8("тело 🚀"), true);
		m.putUserProperty("имя", "значение");
		SendResult sent = room.producer().send(m);
		Room.Sink sink = room.collect("ярлык");
		sink.expect(1);
		MessageExt seen = sink.messages().get(0);
		Room.equal("body", Room.text(seen), "тело 🚀");
		Room.equal("tag", seen.getTags(), "ярлык");
		Room.equal("keys", seen.getKeys(), "k1 k2");
		Room.equal("flag", seen.getFlag(), 12345);
		Room.equal("property", seen.getUserProperty("имя"), "значение");
		Room.equal("queue", seen.getQueueId(), sent.getMessageQueue().getQueueId());
		Room.equal("queue offset", seen.getQueueOffset(), sent.getQueueOffset());
		Room.equal("message id", seen.getMsgId(), sent.getMsgId());
		Room.equal("times tried before", seen.getReconsumeTimes(), 0);
	}

	private static void compressed(Room room) throws Exception {
		byte[] body = Room.utf8(String.join("", Collections.nCopies(5000, "compress me ")));
		room.producer().send(new Message(room.topic, body));
		Room.Sink sink = room.collect("*");
		sink.expect(1);
		MessageExt seen = sink.messages().get(0);
		Room.check(Arrays.equals(seen.getBody(), body), "the body differs");
		Room.check(seen.getStoreSize() < body.length / 2, "stored in %d bytes", seen.getStoreSize());
	}

	private static void tagFilter(Room room) throws Exception {
		DefaultMQProducer p = room.producer();
		for (String tag : new String[] {"A", "B", "C", "D", "last"}) {
			p.send(new Message(room.topic, tag, Room.utf8(tag)));
		}
		Room.Sink sink = room.collect("A || C || last");
		sink.expect(3);
		Room.equal("bodies", sink.distinct(), new HashSet<>(Arrays.asList("A", "C", "last")));
	}

	private static void clustering(Room room) throws Exception {
		DefaultMQProducer p = room.producer();
		room.createTopicBySending(p);
		Room.Sink first = room.collect("*");
		Room.Sink second = room.collect("*");
		int[] sent = {1};
		Room.await("both consumers of the group have messages", () -> {
			room.send(p, sent[0], sent[0] + 8);
			sent[0] += 8;
			Thread.sleep(250); // paces the producer, decides nothing
			return first.messages().size() > 0 && second.messages().size() > 0;
		});
		Room.await("every message arrived at one of them", () -> {
			Set<String> union = first.distinct();
			union.addAll(second.distinct());
			return union.size() == sent[0];
		});
	}

	private static void broadcasting(Room room) throws Exception {
		DefaultMQProducer p = room.producer();
		room.createTopicBySending(p);
		Room.Sink[] sinks = new Room.Sink[2];
		for (int i = 0; i < sinks.length; i++) {
			DefaultMQPushConsumer c = room.pushConsumer("*");
			c.setMessageModel(MessageModel.BROADCASTING);
			sinks[i] = new Room.Sink(c).start();
		}
		room.send(p, 1, 20);
		for (Room.Sink sink : sinks) {
			sink.expect(20);
		}
	}

	private static void orderly(Room room) throws Exception {
		int keys = 4;
		int count = 60;
		DefaultMQProducer p = room.producer();
		for (int i = 0; i < count; i++) {
			Message m = new Message(room.topic, Room.utf8(String.format("%d %03d", i % keys, i)));
			p.send(m, (queues, message, key) -> queues.get((Integer) key % queues.size()), i % keys);
		}
		Room.Sink sink = new Room.Sink(room.pushConsumer("*")).startOrderly();
		sink.expect(count);
		Map<Character, String> last = new HashMap<>();
		for (String body : sink.bodies()) {
			String before = last.put(body.charAt(0), body);
			Room.check(before == null || before.compareTo(body) < 0, "%s came after %s", body, before);
		}
	}

	private static void restart(Room room) throws Exception {
		DefaultMQProducer p = room.producer();
		room.send(p, 0, 12);
		Room.Sink before = room.collect("*");
		before.expect(12);
		before.consumer.shutdown(); // commits the offsets
		room.send(p, 12, 20);
		Room.Sink after = room.collect("*");
		after.expect(8);
		Room.check(Collections.disjoint(before.distinct(), after.distinct()), "delivered again: %s", after.distinct());
	}

	private static void rejected(Room room) throws Exception {
		room.send(room.producer(), 0, 1);
		List<Integer> times = new CopyOnWriteArrayList<>();
		DefaultMQPushConsumer c = room.pushConsumer("*");
		c.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
			times.add(messages.get(0).getReconsumeTimes());
			context.setDelayLevelWhenNextConsume(1);
			return times.size() == 1 ? ConsumeConcurrentlyStatus.RECONSUME_LATER
					: ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
		});
		c.start();
		Room.await("the message is delivered a second time", () -> times.size() == 2);
		Room.equal("how often it was tried before", times, Arrays.asList(0, 1));
	}

	private static void pull(Room room) throws Exception {
		DefaultMQProducer p = room.producer();
		MessageQueue queue = p.send(room.message("pull", 0)).getMessageQueue();
		for (int i = 1; i < 10; i++) {
			p.send(room.message("pull", i), queue);
		}
		DefaultMQPullConsumer c = room.pullConsumer();
		Room.equal("least offset", c.minOffset(queue), 0L);
		Room.await("the last message is in the queue", () -> c.maxOffset(queue) == 10);
		PullResult result = c.pull(queue, "*", 4, 32);
		Room.equal("status", result.getPullStatus(), PullStatus.FOUND);
		Room.equal("messages", result.getMsgFoundList().size(), 6);
		Room.equal("first body", Room.text(result.getMsgFoundList().get(0)), "pull 4");
		Room.equal("next offset", result.getNextBeginOffset(), 10L);
		Room.equal("status at the end", c.pull(queue, "*", 10, 32).getPullStatus(), PullStatus.NO_NEW_MSG);
		Room.equal("status past the end", c.pull(queue, "*", 99, 32).getPullStatus(), PullStatus.OFFSET_ILLEGAL);
		c.getDefaultMQPullConsumerImpl().getOffsetStore().updateConsumeOffsetToBroker(queue, 7, false);
		Room.equal("committed offset", c.fetchConsumeOffset(queue, true), 7L);
	}

	private static void litePull(Room room) throws Exception {
		room.send(room.producer(), 0, 20);
		DefaultLitePullConsumer c = room.litePullConsumer();
		c.subscribe(room.topic, "*");
		c.start();
		Set<String> seen = new HashSet<>();
		Room.await("20 messages are polled", () -> {
			for (MessageExt m : c.poll(1000)) {
				Room.check(seen.add(Room.text(m)), "%s came twice", Room.text(m));
			}
			return seen.size() == 20;
		});
		c.commitSync();
	}

	private static void offsetOfTime(Room room) throws Exception {
		DefaultMQProducer p = room.producer();
		MessageQueue queue = p.send(room.message("old", 0)).getMessageQueue();
		Room.await("the message is in the queue", () -> p.maxOffset(queue) == 1);
		Room.equal("offset of the beginning", p.searchOffset(queue, 0), 0L);
		Room.equal("offset of the future", p.searchOffset(queue, System.currentTimeMillis() + 3_600_000), 1L);
	}
}
