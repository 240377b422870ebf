/*
 * flight: messages on their way.
 *
 * A flight is a message that a courier has in hand. It takes off when its first transaction
 * begins, and lands when the host answered the last one or the connection is lost; then the
 * message is settled, and laid down.
 *
 * Several may be on their way at once (sending.h), and land in the order in which they took off.
 * One that was not tried because the connection was lost before its turn is laid down as it was,
 * and the lane is gone over again.
 */
#ifndef POSTERN_FLIGHT_H
#define POSTERN_FLIGHT_H

#include "delivery/delivery.h"

/*
 * One that is unused, for this message, which is in hand from now on (hands.h). There is one as
 * long as sending_full says that the connection takes another message.
 */
struct flight *flight_take(struct courier *c, const char *id);

/* It is unused again: its message was never opened. */
void flight_put_back(struct courier *c, struct flight *f);

/* Closes the message. Or: and it is as it was, and due at once. */
void flight_lay_down(struct courier *c, struct flight *f);
void flight_turn_back(struct courier *c, struct flight *f, struct found *found);

/*
 * Sends the message of f, which is open; by and by, for others may be on their way. Lands what
 * has been answered.
 */
void flight_take_off(struct courier *c, struct flight *f, struct found *found);

/*
 * Waits for the answer to the oldest one; settles its message, unless more of its recipients
 * follow.
 */
void flight_land(struct courier *c, struct found *found);
void flight_land_all(struct courier *c, struct found *found);

#endif
