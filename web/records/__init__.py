"""Pages of one record: accounts, contacts, orders, products. Facts are read live and changed in place by commands;
what stands around them comes from the read side, block by block, each with its age."""
