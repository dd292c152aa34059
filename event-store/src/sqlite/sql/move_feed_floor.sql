UPDATE feed_state SET floor_xid = max(floor_xid, ?1)
