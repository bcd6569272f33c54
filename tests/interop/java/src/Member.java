import java.nio.charset.StandardCharsets;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.MessageExt;

/**
 * A member of a group that clients in other languages are in too: Member NAMESRV GROUP TOPIC. Prints
 * the body of each message on a line; leaves the group when its standard input ends.
 */
public class Member {
	public static void main(String[] arguments) throws Exception {
		DefaultMQPushConsumer c = new DefaultMQPushConsumer(arguments[1]);
		c.setNamesrvAddr(arguments[0]);
		c.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
		c.subscribe(arguments[2], "*");
		c.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
			for (MessageExt m : messages) {
				say(new String(m.getBody(), StandardCharsets.UTF_8));
			}
			return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
		});
		c.start();
		while (System.in.read() >= 0) {
			continue;
		}
		c.shutdown();
		System.exit(0);
	}

	private static synchronized void say(String line) {
		System.out.println(line);
		System.out.flush();
	}
}
