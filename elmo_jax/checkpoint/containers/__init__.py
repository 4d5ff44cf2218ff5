"""Files that hold others, or arrays: folders and archives, torch.save's, TensorFlow's."""
