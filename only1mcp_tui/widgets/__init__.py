"""Line-painted widgets."""
