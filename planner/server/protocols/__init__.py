"""Other protocols over the same work: requests become chats, whose answers are written as theirs."""
